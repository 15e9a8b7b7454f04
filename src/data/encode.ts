import { RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Sequence } from './batch.ts';
import { checkContext } from './context.ts';
import type { ChoiceRow, FeedbackRow, Message, MessagesRow, PreferenceRow, TextRow } from './rows.ts';
import { chatRenderer, type Span } from './template.ts';

/** A sequence, with the number of tokens that cross a boundary between trained and untrained text. */
export interface EncodedSequence extends Sequence {
  /**
   * Number of tokens that extend across a boundary of a trained span. Those that begin before the span are not trained.
   * When generating, the model has to begin its answer with another token, so many such tokens mean that template and
   * tokenizer do not fit together.
   */
  boundaryMerges: number;
}

export interface EncodedPair {
  chosen: EncodedSequence;
  rejected: EncodedSequence;
}

export interface EncodedAnswer extends EncodedSequence {
  desirable: boolean;
}

/**
 * Renders and tokenises a conversation, each once. Character offsets determine the trained tokens: those of every
 * assistant turn that is to be trained, including the token that ends it.
 */
export function encodeMessages({ messages }: MessagesRow, tokenizer: Tokenizer): EncodedSequence {
  const { text, spans } = chatRenderer(tokenizer).conversation(messages);
  const turns = messages.filter(({ role }) => role === 'assistant');
  const trained = spans.filter((_, turn) => turns[turn]!.trained !== false);
  return encodeSpans(text, trained, tokenizer);
}

/** Encodes both answers after their prompt. Only the answers are trained, not the assistant's turns in the prompt. */
export function encodePair({ prompt, chosen, rejected }: PreferenceRow, tokenizer: Tokenizer): EncodedPair {
  return {
    chosen: encodeAnswer(prompt, chosen, tokenizer),
    rejected: encodeAnswer(prompt, rejected, tokenizer),
  };
}

/** Encodes each answer after the prompt. Only the answer is trained. */
export function encodeFeedback({ prompt, answers }: FeedbackRow, tokenizer: Tokenizer): EncodedAnswer[] {
  return answers.map(({ text, desirable }) => ({ ...encodeAnswer(prompt, text, tokenizer), desirable }));
}

function encodeAnswer(prompt: readonly Message[], content: string, tokenizer: Tokenizer): EncodedSequence {
  const { text, spans } = chatRenderer(tokenizer).conversation([...prompt, { role: 'assistant', content }]);
  return encodeSpans(text, spans.slice(-1), tokenizer);
}

/** Ids of a conversation up to where the assistant's answer begins. */
export function encodePrompt(messages: readonly Message[], tokenizer: Tokenizer): Int32Array {
  return tokenizer.encode(chatRenderer(tokenizer).prompt(messages));
}

/** Encodes the choices as the assistant's answers, without the token that ends the turn. */
export function encodeChoices({ prompt, choices }: ChoiceRow, tokenizer: Tokenizer): Sequence[] {
  const before = chatRenderer(tokenizer).prompt(prompt);
  return choices.map((choice) => continuation(before, choice, tokenizer));
}

function continuation(before: string, text: string, tokenizer: Tokenizer): Sequence {
  const span = { start: before.length, end: before.length + text.length };
  return encodeSpans(before + text, [span], tokenizer);
}

/** Tokenises a text. A token is trained if it begins inside a span, except for the first token of the text. */
export function encodeSpans(text: string, spans: readonly Span[], tokenizer: Tokenizer): EncodedSequence {
  const { ids, offsets } = tokenizer.encodeWithOffsets(text);
  const trained = new Uint8Array(ids.length);
  let boundaryMerges = 0;
  let next = 0;
  for (let i = 0; i < ids.length; i++) {
    const start = offsets[2 * i] as number;
    const end = offsets[2 * i + 1] as number;
    while (next < spans.length && (spans[next] as Span).end <= start) next++;
    const span = spans[next];
    if (!span || end <= span.start) continue;
    if (start < span.start || end > span.end) boundaryMerges++;
    if (start >= span.start && i > 0) trained[i] = 1;
  }
  return { tokens: ids, trained, boundaryMerges };
}

/**
 * Concatenates documents and splits them into windows of `length` predictions; the last window may be shorter. A window
 * is a list of pieces of documents that do not attend to each other. Each document begins with the tokenizer's prefix
 * and ends with the end-of-sequence token. If a document continues in the next window, the piece there begins with the
 * last token of the previous piece.
 */
export function encodeText(
  rows: readonly TextRow[],
  tokenizer: Tokenizer,
  { length }: { length: number },
): Sequence[][] {
  const windows: Sequence[][] = [];
  const trained = new Uint8Array(length + 1).fill(1);
  trained[0] = 0;
  let window: Sequence[] = [];
  let room = length;
  for (const { text } of rows) {
    const document = encodeDocument(text, tokenizer);
    for (let start = 0; start + 1 < document.length; ) {
      const predictions = Math.min(room, document.length - 1 - start);
      window.push({
        tokens: document.subarray(start, start + predictions + 1),
        trained: trained.subarray(0, predictions + 1),
      });
      start += predictions;
      room -= predictions;
      if (room > 0) continue;
      windows.push(window);
      window = [];
      room = length;
    }
  }
  if (window.length > 0) windows.push(window);
  return windows;
}

function encodeDocument(text: string, tokenizer: Tokenizer): Int32Array {
  const ids = encodeFromStart(text, tokenizer);
  const after = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
  const document = new Int32Array(ids.length + after.length);
  document.set(ids);
  document.set(after, ids.length);
  return document;
}

/** Ids of a separate text, which begins with the tokenizer's prefix. */
export function encodeFromStart(text: string, tokenizer: Tokenizer): Int32Array {
  return withPrefix(tokenizer.encode(text), tokenizer);
}

/** Adds the tokenizer's prefix before the ids, unless they already begin with it. */
export function withPrefix(ids: Int32Array, { prefixIds }: Tokenizer): Int32Array {
  if (prefixIds.every((id, i) => id === ids[i])) return ids;
  const whole = new Int32Array(prefixIds.length + ids.length);
  whole.set(prefixIds);
  whole.set(ids, prefixIds.length);
  return whole;
}

/**
 * Checks that a model can read sequences: it must have an embedding for each id, and a context as long as each
 * sequence.
 * @throws RequestError
 */
export function checkSequences(
  sequences: readonly Sequence[],
  tokenizer: Tokenizer,
  { vocabSize, maxLength }: Pick<ModelConfig, 'vocabSize' | 'maxLength'>,
  hint = `set maxLength to ${maxLength} at most; onTooLong says what to do with longer rows`,
): void {
  checkTokenIds(sequences, tokenizer, vocabSize);
  const lengths = sequences.map(({ tokens }) => tokens.length);
  checkContext(lengths, maxLength, { hint });
}

/**
 * Checks that the model's embedding has a row for each token of the tokenizer and for each id of the sequences.
 * @throws RequestError
 */
export function checkTokenIds(sequences: Iterable<Sequence>, tokenizer: Tokenizer, vocabSize: number): void {
  const hint = 'use the tokenizer that the model was trained with';
  if (tokenizer.vocabSize > vocabSize) {
    throw new RequestError({
      message: `the tokenizer has ${tokenizer.vocabSize} tokens, but the model only ${vocabSize}: they do not match`,
      hint,
    });
  }
  for (const { tokens } of sequences) {
    const id = tokens.find((token) => token < 0 || token >= vocabSize);
    if (id === undefined) continue;
    throw new RequestError({
      message: `token id ${id} is out of range: the model has tokens 0 to ${vocabSize - 1}`,
      hint,
    });
  }
}
