import type { GenerationConfig } from '../tokenizer/generation-config.ts';
import { greedy, type Sampling, unfiltered } from './sampler.ts';

/** The sampling options in a model's generation_config.json; undefined if it has none. */
export function modelSampling(config: GenerationConfig | undefined): Sampling | undefined {
  const { do_sample, temperature, top_k, top_p, min_p, repetition_penalty } = config ?? {};
  const said = [do_sample, temperature, top_k, top_p, min_p, repetition_penalty];
  if (said.every((value) => value === undefined || value === null)) return undefined;
  const repetitionPenalty = repetition_penalty ?? 1;
  if (do_sample === false) return { ...greedy, repetitionPenalty };
  return {
    repetitionPenalty,
    temperature: temperature ?? unfiltered.temperature,
    topK: top_k ?? unfiltered.topK,
    topP: top_p ?? unfiltered.topP,
    minP: min_p ?? unfiltered.minP,
  };
}

/** Describes sampling options in words, such as "temperature 0.6, top-p 0.9". */
export function describeSampling({ repetitionPenalty, temperature, topK, topP, minP }: Sampling): string {
  const parts = temperature === 0 ? ['the likeliest token at each step'] : [`temperature ${temperature}`];
  if (temperature > 0 && topK > 0) parts.push(`top-k ${topK}`);
  if (temperature > 0 && topP < 1) parts.push(`top-p ${topP}`);
  if (temperature > 0 && minP > 0) parts.push(`min-p ${minP}`);
  if (repetitionPenalty !== 1) parts.push(`repetition penalty ${repetitionPenalty}`);
  return parts.join(', ');
}
