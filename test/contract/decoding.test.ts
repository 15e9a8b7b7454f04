import { describe, expect, test } from 'vitest';
import { type NewTokens, openDecoder } from '../../src/generation/decoder.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { createTensorFlowBackend } from '../../src/tensor/backends/tensorflow/backend.ts';
import { tensorflowAvailability } from '../../src/tensor/backends/tensorflow/library.ts';
import { relativeDifference } from './differentiate.ts';

const [native, tensorflow] = [await nativeAvailability(), await tensorflowAvailability()];
if (!native.available) console.log(`the native engine is not tested: ${native.reason}`);
if (!tensorflow.available) console.log(`the tensorflow backend is not tested: ${tensorflow.reason}`);
const tested: { name: string; bound: number; open: () => Promise<Backend> }[] = [];
if (native.available) {
  tested.push({ name: 'native f32', bound: 5e-6, open: () => createNativeBackend({ precision: 'f32' }) });
  tested.push({ name: 'native bf16', bound: 3e-2, open: () => createNativeBackend({ precision: 'bf16' }) });
}
if (tensorflow.available) tested.push({ name: 'tensorflow', bound: 5e-6, open: () => createTensorFlowBackend() });

const sizes = { ...presetConfig('1m'), vocabSize: 45, hiddenSize: 42, intermediateSize: 50, layers: 2 };
const shapes = [
  { heads: 4, kvHeads: 2, headDim: 6 },
  { heads: 3, kvHeads: 3, headDim: 64 },
  { heads: 6, kvHeads: 1, headDim: 34 },
];

const random = new RandomStream(5, 'decoding');
const tokens = (count: number): Int32Array => Int32Array.from({ length: count }, () => random.integer(45));
/**
 * Prompts of one token, of a few tokens, of more than a block of queries, and of more positions than one task takes;
 * then single tokens.
 */
const steps: NewTokens[][] = [
  [
    { sequence: 2, position: 0, tokens: tokens(1) },
    { sequence: 0, position: 0, tokens: tokens(5) },
    { sequence: 1, position: 0, tokens: tokens(70) },
  ],
  [
    { sequence: 0, position: 5, tokens: tokens(1) },
    { sequence: 3, position: 0, tokens: tokens(255) },
    { sequence: 1, position: 70, tokens: tokens(9) },
  ],
  ...[0, 1, 2].map((i) => [
    { sequence: 3, position: 255 + i, tokens: tokens(1) },
    { sequence: 1, position: 79 + i, tokens: tokens(1) },
    { sequence: 2, position: 1 + i, tokens: tokens(1) },
  ]),
];
/** A prompt with more rows than pass through a layer at once. */
const manyRows: NewTokens[] = [
  { sequence: 4, position: 0, tokens: tokens(520) },
  { sequence: 2, position: 4, tokens: tokens(1) },
];
/** Only one shape has `manyRows`: decoding them in float64 takes ten times as long as all other steps. */
const stepsOf = ({ headDim }: ModelConfig): NewTokens[][] => (headDim === 6 ? [...steps, manyRows] : steps);

const expected = new Map<string, Promise<Float64Array[]>>();
function expectedLogits(config: ModelConfig): Promise<Float64Array[]> {
  const key = JSON.stringify(config);
  if (!expected.has(key)) expected.set(key, logitsOf(config, new PortableBackend('f64')));
  return expected.get(key)!;
}

async function logitsOf(config: ModelConfig, backend: Backend): Promise<Float64Array[]> {
  const model = await initialiseModel(config, backend, 3, { std: 0.2, embeddingStd: 1 });
  const decoder = openDecoder(model, 5, 520);
  const results: Float64Array[] = [];
  for (const step of stepsOf(config)) {
    const logits = decoder.nextLogits(step);
    results.push(Float64Array.from(await backend.read(logits)));
    logits.release();
  }
  decoder.release();
  releaseModel(model);
  return results;
}

describe.each(tested)('decoding on $name against its composition in float64', ({ bound, open }) => {
  test.each(shapes)('$heads/$kvHeads heads of $headDim', async (shape) => {
    const config = withPlacement({ ...sizes, ...shape }, 'mix', { postLayers: 1 });
    const backend = await open();
    const actual = await logitsOf(config, backend);
    expect(backend.memory().used).toBe(0);
    await backend.dispose();
    for (const [i, values] of (await expectedLogits(config)).entries()) {
      expect(relativeDifference(actual[i]!, values)).toBeLessThan(bound);
    }
  });
});

test.runIf(native.available)("a row's result does not depend on rows of other sequences or on threads", async () => {
  const config = { ...sizes, ...shapes[0]! };
  for (const precision of ['f32', 'bf16'] as const) {
    const backend = await createNativeBackend({ precision, threads: 3 });
    const model = await initialiseModel(config, backend, 3, { std: 0.2, embeddingStd: 1 });
    const prompts = [5, 90, 1, 17].map(tokens);
    const read = async (news: readonly NewTokens[]): Promise<number[][]> => {
      const decoder = openDecoder(model, news.length, 100);
      const logits = decoder.nextLogits(news);
      const all = Array.from(await backend.read(logits));
      logits.release();
      decoder.release();
      return news.map((_, i) => all.slice(i * 45, (i + 1) * 45));
    };
    const together = await read(prompts.map((tokens, sequence) => ({ sequence, position: 0, tokens })));
    for (const [i, tokens] of prompts.entries()) {
      expect((await read([{ sequence: 0, position: 0, tokens }]))[0]).toEqual(together[i]);
    }
    releaseModel(model);
    await backend.dispose();
  }
});
