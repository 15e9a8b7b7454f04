import { expect, test } from 'vitest';
import { describeSampling, modelSampling } from '../../src/generation/model-sampling.ts';
import type { GenerationConfig } from '../../src/tokenizer/generation-config.ts';

test.each<[GenerationConfig | undefined, string | undefined]>([
  [undefined, undefined],
  [{ eos_token_id: 2 }, undefined],
  [{ do_sample: true, temperature: 0.6, top_p: 0.9 }, 'temperature 0.6, top-p 0.9'],
  [{ do_sample: true, top_k: 20, min_p: 0.1 }, 'temperature 1, top-k 20, min-p 0.1'],
  [{ do_sample: false, temperature: 0.6 }, 'the likeliest token at each step'],
  [{ repetition_penalty: 1.1, temperature: 0.7 }, 'temperature 0.7, repetition penalty 1.1'],
])('a model that says %j is sampled with %s', (config, expected) => {
  const sampling = modelSampling(config);
  expect(sampling && describeSampling(sampling)).toBe(expected);
});
