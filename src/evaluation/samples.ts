import type { Sequence } from '../data/batch.ts';
import { generate } from '../generation/generate.ts';
import type { Model } from '../model/model.ts';
import type { Sample } from '../runs/results.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** Samples that a stage shows of its model. */
export const sampleCount = 4;

/** Greedy continuations of the beginnings of held-out texts, with what stands there. */
export async function continuations(
  model: Model,
  tokenizer: Tokenizer,
  texts: readonly Sequence[],
  { promptTokens = 12, maxNewTokens = 24 } = {},
): Promise<Sample[]> {
  const chosen = texts.filter(({ tokens }) => tokens.length > promptTokens).slice(0, sampleCount);
  const prompts = chosen.map(({ tokens }) => tokens.slice(0, promptTokens));
  const results = await generate(model, prompts, { maxNewTokens, stopIds: tokenizer.endIds });
  return results.map(({ tokens }, i) => ({
    prompt: tokenizer.decode(prompts[i]!),
    completion: tokenizer.decode(tokens),
    expected: tokenizer.decode(chosen[i]!.tokens.slice(promptTokens, promptTokens + maxNewTokens)),
  }));
}
