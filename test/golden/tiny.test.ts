import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { headOf, hiddenStates, type Model, releaseModel } from '../../src/model/model.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import type { Backend, HostArray } from '../../src/tensor/backends/backend.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { tokenLogProbs } from '../../src/tensor/fused/token-log-probs.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { backends, valuesOf } from './backends.ts';
import { fixturePath, largestDifference, readFixture } from './fixtures.ts';
import { formulaModel } from './formula.ts';
import { gradientsOfLoss } from './gradients.ts';

interface TinyFixture {
  tokens: number[];
  models: Record<
    Norm,
    {
      postLayers: number;
      loss: number;
      logProbs: number[];
      logits: number[][];
      streamRms: number[];
      angularDistances: number[];
      gradientNorm: number;
    }
  >;
}

const fixture = await readFixture<TinyFixture>('tiny.json');
const tokens = Int32Array.from(fixture.tokens);
const input = { tokens, positions: tokens.map((_, i) => i), segments: Int32Array.of(0, tokens.length) };
const targets = Int32Array.of(...tokens.subarray(1), -1);

describe.each(backends)('tiny model on $name', ({ open, bound }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  describe.each(Object.keys(fixture.models) as Norm[])('%s', (norm) => {
    const expected = fixture.models[norm];
    let model: Model;
    beforeAll(() => {
      model = formulaModel(tinyConfig(norm, expected.postLayers), backend);
    });
    afterAll(() => releaseModel(model));

    test('logits of every position', async () => {
      const logits = await valuesOf(() => linear(hiddenStates(model, input), headOf(model)));
      expect(largestDifference(logits, expected.logits.flat())).toBeLessThan(bound);
    });

    test('log-probabilities and loss', async () => {
      const logProbs = await valuesOf(() => tokenLogProbs(hiddenStates(model, input), headOf(model), targets));
      expect(largestDifference(logProbs, [...expected.logProbs, 0])).toBeLessThan(bound);
      const weights = Float32Array.from(targets, () => 0.25);
      const loss = await valuesOf(() => crossEntropy(hiddenStates(model, input), headOf(model), targets, weights));
      expect(largestDifference(loss, [expected.loss])).toBeLessThan(bound);
    });

    test('size and angular distances of the residual stream', async () => {
      const streams = await residualStreams(model);
      const rms = streams.map((x) => Math.sqrt(dot(x, x) / x.length));
      expect(largestDifference(rms, expected.streamRms)).toBeLessThan(bound);
      const last = streams.map((x) => x.subarray(-model.config.hiddenSize));
      const distances = last.slice(1).map((x, layer) => angularDistance(last[layer]!, x));
      // The arc cosine of a value near 1 divides a rounding error by the angle.
      expect(largestDifference(distances, expected.angularDistances)).toBeLessThan(4 * bound);
    });

    test('gradient of every tensor', async () => {
      const golden = await openSafetensors(fixturePath(`tiny-gradients-${norm}.safetensors`));
      const gradients = await gradientsOfLoss(model, tokens);
      for (const { name } of checkpointTensors(model.config)) {
        const expected = new Float64Array((await golden.readBytes(name)).buffer);
        expect(largestDifference(gradients.get(name)!, expected), name).toBeLessThan(bound);
      }
    });

    test('a prefix has the same logits as in the whole sequence', async () => {
      const prefix = {
        tokens: tokens.subarray(0, 3),
        positions: Int32Array.of(0, 1, 2),
        segments: Int32Array.of(0, 3),
      };
      const logits = await valuesOf(() => linear(hiddenStates(model, prefix), headOf(model)));
      expect(largestDifference(logits, expected.logits.slice(0, 3).flat())).toBeLessThan(bound);
    });
  });

  test.each([
    { mixed: 'mix', postLayers: 0, same: 'pre' },
    { mixed: 'mix', postLayers: 3, same: 'post' },
    { mixed: 'mix-reversed', postLayers: 0, same: 'pre' },
    { mixed: 'mix-reversed', postLayers: 3, same: 'post' },
  ] as const)('$mixed with $postLayers Post-LN layers is $same to the bit', async ({ mixed, postLayers, same }) => {
    const [ours, theirs] = [tinyConfig(mixed, postLayers), tinyConfig(same, postLayers)].map(async (config) => {
      const model = formulaModel(config, backend);
      const logits = await valuesOf(() => linear(hiddenStates(model, input), headOf(model)));
      const gradients = await gradientsOfLoss(model, tokens);
      releaseModel(model);
      return { logits, gradients };
    });
    expect(await ours).toEqual(await theirs);
  });
});

type Norm = 'pre' | 'post' | 'mix';

function tinyConfig(name: Norm | 'mix-reversed', postLayers: number): ModelConfig {
  const sizes = { vocabSize: 11, hiddenSize: 8, intermediateSize: 12, layers: 3, heads: 2, kvHeads: 2, headDim: 4 };
  const rest = { ropeTheta: 10000, rmsNormEps: 1e-6, maxLength: 16, tieWordEmbeddings: false };
  const family = { name: 'llama', settings: {} };
  return { ...sizes, ...rest, family, norm: { name, settings: name.startsWith('mix') ? { postLayers } : {} } };
}

async function residualStreams(model: Model): Promise<HostArray[]> {
  const streams: Tensor[] = [];
  scope(() => hiddenStates(model, input, { visit: (stream) => streams.push(stream.retain()) }), {
    adopt: false,
  }).release();
  const values = await Promise.all(streams.map((stream) => model.backend.read(stream)));
  for (const stream of streams) stream.release();
  return values;
}

function dot(a: HostArray, b: HostArray): number {
  return Array.from(a, (value, i) => value * b[i]!).reduce((sum, product) => sum + product, 0);
}

function angularDistance(a: HostArray, b: HostArray): number {
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  return Math.acos(Math.min(1, Math.max(-1, cosine))) / Math.PI;
}
