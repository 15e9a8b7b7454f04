import { describe, expect, test } from 'vitest';
import { generate } from '../../src/generation/generate.ts';
import { greedy, unfiltered } from '../../src/generation/sampler.ts';
import { headOf, hiddenStates, type Model, releaseModel } from '../../src/model/model.ts';

import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';

import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { scope } from '../../src/tensor/scope.ts';
import { smallModel } from './small-model.ts';

/** Greedy continuation by running the whole sequence anew for each token. */
async function withoutCache(model: Model, prompt: Int32Array, count: number): Promise<number[]> {
  const tokens = [...prompt];
  for (let i = 0; i < count; i++) {
    const input = {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(tokens.keys()),
      segments: Int32Array.of(0, tokens.length),
    };
    const logits = scope(() => linear(hiddenStates(model, input), headOf(model)), { adopt: false });
    const values = (await model.backend.read(logits)).slice(-model.config.vocabSize);
    tokens.push(values.indexOf(Math.max(...values)));
    logits.release();
  }
  return tokens.slice(prompt.length);
}

describe('generate', () => {
  test('greedy decoding over a cache equals recomputation, for prompts of different lengths at once', async () => {
    const model = await smallModel(new PortableBackend('f64'));
    const prompts = [Int32Array.of(3), Int32Array.of(1, 2, 3, 4, 5), Int32Array.of(7, 18)];
    const results = await generate(model, prompts, { maxNewTokens: 6, stopIds: [] });
    for (const [i, prompt] of prompts.entries()) {
      expect([...results[i]!.tokens]).toEqual(await withoutCache(model, prompt, 6));
      expect(results[i]!.endId).toBe(undefined);
    }
  });

  test('a stop token ends its sequence only, and is not part of the text', async () => {
    const model = await smallModel(new PortableBackend('f64'));
    const prompts = [Int32Array.of(3), Int32Array.of(7, 18)];
    const free = await generate(model, prompts, { maxNewTokens: 6, stopIds: [] });
    const stop = free[0]!.tokens[2]!;
    const [first] = await generate(model, prompts, { maxNewTokens: 6, stopIds: [stop] });
    expect([...first!.tokens]).toEqual([...free[0]!.tokens].slice(0, free[0]!.tokens.indexOf(stop)));
    expect(first!.endId).toBe(stop);
  });

  test('sampling depends on the seed and not on the batch', async () => {
    const model = await smallModel(new PortableBackend('f64'));
    const prompts = [Int32Array.of(3), Int32Array.of(7, 18), Int32Array.of(9, 9)];
    const options = { maxNewTokens: 8, stopIds: [], sampling: unfiltered, seed: 3 };
    const together = await generate(model, prompts, options);
    const apart = await generate(model, prompts, { ...options, batchSize: 1 });
    expect(apart).toEqual(together);
    expect(await generate(model, prompts, { ...options, seed: 4 })).not.toEqual(together);
    const same = await generate(model, [prompts[0]!, prompts[0]!, prompts[0]!], options);
    expect(new Set(same.map(({ tokens }) => tokens.join())).size).toBe(3);
  });

  test('a repetition penalty counts what stands in the prompt and what was drawn', async () => {
    const model = await smallModel(new PortableBackend('f64'));
    const prompts = [Int32Array.of(3, 4, 5), Int32Array.of(7, 18, 2, 1)];
    const sampling = { ...greedy, repetitionPenalty: 1e9 };
    for (const [i, { tokens }] of (
      await generate(model, prompts, { maxNewTokens: 4, stopIds: [], sampling })
    ).entries()) {
      const text = [...prompts[i]!, ...tokens];
      expect(new Set(text).size, text.join()).toBe(text.length);
    }
  });

  test.each(['portable', 'native'])('on %s texts of unequal length take turns in a small batch', async (name) => {
    const native = name === 'native' && (await nativeAvailability()).available;
    const backend = native ? await createNativeBackend({ precision: 'f32' }) : new PortableBackend('f64');
    const model = await smallModel(backend);
    const prompts = Array.from({ length: 9 }, (_, i) => Int32Array.from({ length: 1 + (i % 4) }, (_, j) => i + j));
    const sampling = { ...unfiltered, repetitionPenalty: 1.2, topK: 10 };
    const options = { maxNewTokens: 12, stopIds: [3, 5], sampling, seed: 3, logProbs: true };
    const apart = [];
    for (const batchSize of [9, 4, 1]) apart.push(await generate(model, prompts, { ...options, batchSize }));
    const lengths = new Set(apart[0]!.map(({ tokens }) => tokens.length));
    expect(lengths.size).toBeGreaterThan(2);
    for (const results of apart) {
      expect(results.map(({ tokens, endId }) => ({ tokens, endId }))).toEqual(
        apart[0]!.map(({ tokens, endId }) => ({ tokens, endId })),
      );
      for (const { tokens, endId, logProbs } of results) {
        expect(tokens.some((token) => options.stopIds.includes(token))).toBe(false);
        expect(tokens.length < 12).toBe(endId !== undefined);
        expect(logProbs!.length).toBe(tokens.length + Number(endId !== undefined));
      }
    }
    releaseModel(model);
    if (native) expect(backend.memory().used).toBe(0);
    await backend.dispose();
  });
});
