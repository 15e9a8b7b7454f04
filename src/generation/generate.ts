import { checkContext } from '../data/context.ts';
import { notFinite } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { type Draw, openSampler } from './batch-sampler.ts';
import { type NewTokens, openDecoder } from './decoder.ts';
import { greedy, noToken, type Sampling } from './sampler.ts';

export interface GenerateOptions {
  maxNewTokens: number;
  /** Ids that end a sequence; the end token itself is not part of the result. */
  stopIds: readonly number[];
  sampling?: Sampling;
  /** Each prompt draws from a stream of its own, so its tokens do not depend on the others. */
  seed?: number;
  /** Prompts decoded together. */
  batchSize?: number;
  /** Report the log-probability of each token at the temperature that it was drawn at, over the whole vocabulary. */
  logProbs?: boolean;
  /** Hears of each step over the batch when its tokens have been read. */
  onStep?: () => void;
}

export interface Generation {
  tokens: Int32Array;
  /** Of `stopIds` the one that ended the text; undefined where maxNewTokens did. */
  endId: number | undefined;
  /** Where asked for: of `tokens`, and after them of the token that ended the text. */
  logProbs?: Float64Array;
}

/** A text that is being generated. */
interface OpenText {
  /** Of its prompt, and of its place in the batch. */
  index: number;
  sequence: number;
  prompt: Int32Array;
  /** Tokens drawn, read or not; the row that the last one was drawn in. */
  drawn: number;
  row: number;
  generated: number[];
  logProbs: number[];
  done: boolean;
}

/** A step that was asked for; what it has drawn for texts that were done before is of no use. */
interface Step extends Draw {
  texts: readonly OpenText[];
}

/**
 * Continues each prompt (token ids, not empty). Where a text ends, the next prompt takes its place in the batch. A
 * backend that draws by itself is asked for a step before the tokens of the last one were read, so that it never waits;
 * a text that turns out to have ended has then been in one step too many, without effect on the others.
 * @throws RunError where logits are not finite
 * @throws RequestError where a prompt and its new tokens may become longer than the model's context
 */
export async function generate(
  model: Model,
  prompts: readonly Int32Array[],
  { maxNewTokens, stopIds, sampling = greedy, seed = 0, batchSize = 64, logProbs = false, onStep }: GenerateOptions,
): Promise<Generation[]> {
  const results: Generation[] = prompts.map(() => ({ tokens: new Int32Array(), endId: undefined }));
  if (prompts.length === 0 || maxNewTokens === 0) return results;
  const lengths = prompts.map(({ length }) => length);
  const hint = 'lower maxNewTokens, shorten the prompts, or take a model with a longer context';
  checkContext(lengths, model.config.maxLength, { newTokens: maxNewTokens, hint });
  const sequences = Math.min(batchSize, prompts.length);
  const sampler = openSampler(model.backend, { sequences, vocabulary: model.config.vocabSize, sampling, logProbs });
  const longest = lengths.reduce((a, b) => Math.max(a, b)) + maxNewTokens;
  const decoder = openDecoder(model, sequences, longest);

  const begin = (index: number, sequence: number): OpenText => {
    const prompt = prompts[index]!;
    sampler.begin(sequence, prompt, new RandomStream(seed, `sample/${index}`));
    return { index, sequence, prompt, drawn: 0, row: 0, generated: [], logProbs: [], done: false };
  };
  const launch = (texts: readonly OpenText[], last: Step | undefined): Step => {
    const news = texts.map((text) => newTokens(text, last !== undefined));
    const logits = decoder.nextLogits(news, last?.tokens);
    const draw = sampler.draw(
      logits,
      texts.map(({ sequence }) => sequence),
    );
    logits.release();
    for (const [row, text] of texts.entries()) {
      text.drawn++;
      text.row = row;
    }
    return { ...draw, texts };
  };
  const settle = async (step: Step): Promise<void> => {
    const drawn = await step.result.finally(step.release);
    onStep?.();
    for (const [row, text] of step.texts.entries()) {
      if (text.done) continue;
      const token = drawn.tokens[row]!;
      if (token === noToken)
        throw notFinite(`the logits of token ${text.generated.length + 1} after prompt ${text.index + 1} are`);
      const endId = stopIds.includes(token) ? token : undefined;
      if (endId === undefined) text.generated.push(token);
      if (logProbs) text.logProbs.push(drawn.logProbs![row]!);
      text.done = endId !== undefined || text.generated.length === maxNewTokens;
      if (text.done) results[text.index] = { tokens: Int32Array.from(text.generated), endId, ...logProbsOf(text) };
    }
  };
  const logProbsOf = (text: OpenText) => (logProbs ? { logProbs: Float64Array.from(text.logProbs) } : {});

  let begun = sequences;
  let texts = Array.from({ length: sequences }, (_, i) => begin(i, i));
  let last: Step | undefined;
  try {
    while (texts.length > 0) {
      const open = texts.filter(({ drawn }) => drawn < maxNewTokens);
      const unread = last;
      last = open.length > 0 ? launch(open, unread) : undefined;
      if (unread) await settle(unread);
      if (last && !last.tokens) {
        await settle(last);
        last = undefined;
      }
      texts = texts.flatMap((text) => {
        if (!text.done) return [text];
        return begun < prompts.length ? [begin(begun++, text.sequence)] : [];
      });
    }
  } finally {
    // A step too many, or one that an error has left behind.
    await last?.result.catch(() => {});
    last?.release();
    decoder.release();
    sampler.release();
  }
  return results;
}

/** The prompt, then the token that was drawn last: by its row where it was not read yet. */
function newTokens({ sequence, prompt, drawn, row, generated }: OpenText, isUnread: boolean): NewTokens {
  if (drawn === 0) return { sequence, position: 0, tokens: prompt };
  return { sequence, position: prompt.length + drawn - 1, tokens: [isUnread ? -1 - row : generated.at(-1)!] };
}
