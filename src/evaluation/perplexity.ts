import type { Sequence } from '../data/batch.ts';
import type { QuestionOf, TextRow } from '../data/rows.ts';
import { afterPrefixToken } from '../data/scored-text.ts';
import { type TextSize, textSize } from '../data/text-size.ts';
import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Metrics } from './metrics.ts';
import { type TaskResult, textItems } from './task-result.ts';
import { scoreTexts } from './text-scores.ts';

export interface WindowOptions {
  /** Tokens that a window scores. */
  window: number;
  /** Windows, at most. */
  windows?: number | undefined;
}

/**
 * How likely texts are. Each token is scored once, the first one of a text after the token that stands for the
 * beginning of a text (`afterPrefixToken`). Each window scores `window` tokens, and the last one the remaining tokens,
 * after as many tokens of its text as the window holds. With a window of the model's context this is
 * `loglikelihood_rolling` of lm-evaluation-harness 0.4.13. An item is a window.
 * @throws RequestError where nothing is scored, or a window is longer than the model's context
 */
export async function perplexity(
  model: Model,
  tokenizer: Tokenizer,
  rows: readonly TextRow[],
  options: WindowOptions,
): Promise<TaskResult> {
  const texts = rows.map(({ text }) => ({ text, ...textSize(text) }));
  const { windows, size } = cut(texts, tokenizer, options);
  const { logProbs, tokens } = await scored(model, tokenizer, windows);
  return {
    metrics: perplexities(sum(logProbs), sum(tokens), size),
    metric: 'loss',
    items: textItems(logProbs, tokens),
  };
}

/**
 * As `perplexity`, of the texts of a task file, whose words and bytes are those of the rows. An item is a text.
 * @throws RequestError where nothing is scored, or a window is longer than the model's context
 */
export async function textPerplexity(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly QuestionOf['perplexity'][],
  { window }: WindowOptions,
): Promise<TaskResult> {
  const parts = texts.map((text) => cut([text], tokenizer, { window }));
  const { logProbs, tokens } = await scored(
    model,
    tokenizer,
    parts.flatMap(({ windows }) => windows),
  );
  const ends = cumulative(parts.map(({ windows }) => windows.length));
  const ofText = (values: readonly number[]): number[] =>
    parts.map(({ windows }, i) => sum(values.slice(ends[i]! - windows.length, ends[i])));
  const [byText, counts] = [ofText(logProbs), ofText(tokens)];
  const size = { words: sum(texts.map(({ words }) => words)), bytes: sum(texts.map(({ bytes }) => bytes)) };
  return { metrics: perplexities(sum(byText), sum(counts), size), metric: 'loss', items: textItems(byText, counts) };
}

/** Cross-entropy in nats a token, exp of it a token, a word and a byte, and bits a byte. */
function perplexities(logProb: number, tokens: number, { words, bytes }: TextSize): Metrics {
  return {
    loss: -logProb / tokens,
    perplexity: Math.exp(-logProb / tokens),
    wordPerplexity: Math.exp(-logProb / words),
    bytePerplexity: Math.exp(-logProb / bytes),
    bitsPerByte: -logProb / bytes / Math.LN2,
    tokens,
  };
}

function scored(model: Model, tokenizer: Tokenizer, windows: readonly Sequence[]) {
  if (windows.length === 0)
    throw new RequestError({
      message: 'there is nothing to predict: no text has two tokens',
      hint: 'give longer texts',
    });
  return scoreTexts(model, tokenizer, windows, `set window to ${model.config.maxLength} at most`);
}

/** The first windows of texts, and the words and bytes that they hold. */
function cut(
  texts: readonly QuestionOf['perplexity'][],
  tokenizer: Tokenizer,
  { window, windows: most = Number.POSITIVE_INFINITY }: WindowOptions,
): { windows: Sequence[]; size: TextSize } {
  const [windows, size] = [[] as Sequence[], { words: 0, bytes: 0 }];
  for (const { text, ...whole } of texts) {
    const all = windowsOf(text, tokenizer, window);
    const taken = all.slice(0, most - windows.length);
    const { words, bytes } =
      taken.length === all.length ? whole : textSize(beginning(text, taken.length * window, tokenizer));
    windows.push(...taken);
    size.words += words;
    size.bytes += bytes;
    if (windows.length >= most) break;
  }
  return { windows, size };
}

function windowsOf(text: string, tokenizer: Tokenizer, window: number): Sequence[] {
  const { tokens } = afterPrefixToken(tokenizer.encode(text), tokenizer);
  const windows: Sequence[] = [];
  for (let scored = 0; scored + 1 < tokens.length; scored += window) {
    const end = Math.min(scored + window + 1, tokens.length);
    const start = Math.max(0, end - window - 1);
    windows.push({
      tokens: tokens.subarray(start, end),
      trained: new Uint8Array(end - start).fill(1, scored + 1 - start),
    });
  }
  return windows;
}

/** The text that its first tokens stand for. */
function beginning(text: string, tokens: number, tokenizer: Tokenizer): string {
  return text.slice(0, tokenizer.encodeWithOffsets(text).offsets[2 * tokens - 1]);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function cumulative(values: readonly number[]): number[] {
  let total = 0;
  return values.map((value) => {
    total += value;
    return total;
  });
}
