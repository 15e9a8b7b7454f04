import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native.ts';
import { nativeAvailability } from '../../src/tensor/backends/native-build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { createTensorFlowBackend } from '../../src/tensor/backends/tensorflow.ts';
import { tensorflowAvailability } from '../../src/tensor/backends/tensorflow-library.ts';
import { cachedAttention } from '../../src/tensor/fused/cached-attention.ts';
import { fromHost, scope } from '../../src/tensor/scope.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { relativeDifference } from './differentiate.ts';

const [native, tensorflow] = [await nativeAvailability(), await tensorflowAvailability()];
if (!native.available) console.log(`the native engine is not tested: ${native.reason}`);
if (!tensorflow.available) console.log(`the tensorflow backend is not tested: ${tensorflow.reason}`);
const tested: { name: string; open: () => Promise<Backend> }[] = [
  ...(native.available ? [{ name: 'native', open: () => createNativeBackend({ precision: 'f32' }) }] : []),
  ...(tensorflow.available ? [{ name: 'tensorflow', open: () => createTensorFlowBackend() }] : []),
];

/** A prefill of 5 rows of sequence 2 beside single rows of sequences 0 and 3 that are already under way. */
const rows = { sequences: Int32Array.of(2, 2, 2, 2, 2, 0, 3), positions: Int32Array.of(0, 1, 2, 3, 4, 18, 7) };
const shapes = [
  { heads: 4, kvHeads: 2, headDim: 6, ropeTheta: 10000 },
  { heads: 3, kvHeads: 3, headDim: 64, ropeTheta: 500000 },
  { heads: 6, kvHeads: 1, headDim: 34, ropeTheta: 10000 },
];

describe.each(tested)('cached attention on $name against its composition in float64', ({ open }) => {
  test.each(shapes)('$heads/$kvHeads heads of $headDim', async (shape) => {
    const extent = [4, shape.kvHeads, 19, shape.headDim];
    const random = new RandomStream(5, 'cache');
    const draw = (size: number) => Float32Array.from({ length: size }, () => random.normal());
    const [keys, values] = [draw(sizeOf(extent)), draw(sizeOf(extent))];
    const qkv = draw(rows.positions.length * (shape.heads + 2 * shape.kvHeads) * shape.headDim);

    const attend = async (backend: Backend) => {
      const tensors = scope(
        () => {
          const cache = { keys: fromHost(backend, keys, extent), values: fromHost(backend, values, extent) };
          const sequencesTensor = fromHost(backend, rows.sequences);
          const positionsTensor = fromHost(backend, rows.positions);
          const x = fromHost(backend, qkv, [rows.positions.length, qkv.length / rows.positions.length]);
          const out = cachedAttention(x, { ...rows, sequencesTensor, positionsTensor }, cache, shape);
          return [out, cache.keys, cache.values];
        },
        { adopt: false },
      );
      const results = await Promise.all(tensors.map((tensor) => backend.read(tensor)));
      for (const tensor of tensors) tensor.release();
      return results;
    };

    const backend = await open();
    const actual = await attend(backend);
    const expected = await attend(new PortableBackend('f64'));
    await backend.dispose();
    for (const [i, values] of expected.entries()) expect(relativeDifference(actual[i]!, values)).toBeLessThan(2e-6);
  });
});
