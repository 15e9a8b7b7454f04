import type { Model } from '../model/model.ts';
import { RandomStream } from '../random.ts';
import { openSampler } from './batch-sampler.ts';
import { type NewTokens, openDecoder } from './decoder.ts';
import { greedy, type Sampling } from './sampler.ts';

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
}

export interface Generation {
  tokens: Int32Array;
  /** False where maxNewTokens ended the text. */
  ended: boolean;
  /** Where asked for: of `tokens`, and behind them of the token that ended the text. */
  logProbs?: Float64Array;
}

/** A text that is being generated: its fresh tokens are not in the cache yet. */
interface OpenText extends NewTokens {
  index: number;
  generated: number[];
  logProbs: number[];
}

/** Continues each prompt (token ids, not empty). Where a text ends, the next prompt takes its place in the batch. */
export async function generate(
  model: Model,
  prompts: readonly Int32Array[],
  { maxNewTokens, stopIds, sampling = greedy, seed = 0, batchSize = 64, logProbs = false }: GenerateOptions,
): Promise<Generation[]> {
  const results: Generation[] = prompts.map(() => ({ tokens: new Int32Array(), ended: false }));
  if (prompts.length === 0 || maxNewTokens === 0) return results;
  const sequences = Math.min(batchSize, prompts.length);
  const sampler = openSampler(model.backend, { sequences, vocabulary: model.config.vocabSize, sampling, logProbs });
  const longest = Math.max(...prompts.map(({ length }) => length)) + maxNewTokens;
  const decoder = openDecoder(model, sequences, longest);
  const begin = (index: number, sequence: number): OpenText => {
    sampler.begin(sequence, prompts[index]!, new RandomStream(seed, `sample/${index}`));
    return { index, sequence, position: 0, tokens: prompts[index]!, generated: [], logProbs: [] };
  };
  let begun = sequences;
  let open = Array.from({ length: sequences }, (_, i) => begin(i, i));
  try {
    while (open.length > 0) {
      const logits = decoder.nextLogits(open);
      const drawn = await sampler
        .draw(
          logits,
          open.map(({ sequence }) => sequence),
        )
        .finally(() => logits.release());
      open = open.flatMap((text, row) => {
        const token = drawn.tokens[row]!;
        const ended = stopIds.includes(token);
        if (!ended) text.generated.push(token);
        if (logProbs) text.logProbs.push(drawn.logProbs![row]!);
        if (!ended && text.generated.length < maxNewTokens) {
          return [{ ...text, position: text.position + text.tokens.length, tokens: [token] }];
        }
        results[text.index] = {
          tokens: Int32Array.from(text.generated),
          ended,
          ...(logProbs ? { logProbs: Float64Array.from(text.logProbs) } : {}),
        };
        return begun < prompts.length ? [begin(begun++, text.sequence)] : [];
      });
    }
  } finally {
    decoder.release();
    sampler.release();
  }
  return results;
}
