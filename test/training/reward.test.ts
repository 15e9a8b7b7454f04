import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EncodedPair } from '../../src/data/encode.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { newOptimizer, releaseOptimizer } from '../../src/training/optimizer.ts';
import { comparisonsOf, rewardScores, rewardStep } from '../../src/training/reward.ts';

const backend = new PortableBackend('f64');
let model: Model;

beforeAll(async () => {
  model = await initialiseModel(
    {
      vocabSize: 20,
      hiddenSize: 8,
      intermediateSize: 12,
      layers: 2,
      heads: 2,
      kvHeads: 1,
      headDim: 4,
      ropeTheta: 10000,
      rmsNormEps: 1e-6,
      maxLength: 32,
      tieWordEmbeddings: false,
      family: { name: 'llama', settings: {} },
      norm: { name: 'mix', settings: { postLayers: 1 } },
      head: 'score',
    },
    backend,
    5,
    { std: 0.4, embeddingStd: 1 },
  );
});

afterAll(() => releaseModel(model));

/** Prompt tokens, then an answer that is trained, then what a template puts behind it. */
const sequence = (prompt: number[], answer: number[], behind: number[] = []) => ({
  tokens: Int32Array.from([...prompt, ...answer, ...behind]),
  trained: Uint8Array.from([...prompt.map(() => 0), ...answer.map(() => 1), ...behind.map(() => 0)]),
  boundaryMerges: 0,
});
const pair = (prompt: number[], chosen: number[], rejected: number[]): EncodedPair => ({
  chosen: sequence(prompt, chosen),
  rejected: sequence(prompt, rejected),
});
const pairs = [
  pair([3, 4], [5, 6, 1], [7, 1]),
  pair([9], [8, 8, 8, 1], [5, 1]),
  pair([3, 4], [5, 6, 1], [2, 2, 2, 1]),
  pair([3, 4], [7, 1], [2, 2, 2, 1]),
  pair([10, 11, 12], [13, 1], [14, 15, 1]),
  pair([12], [4, 1], [6, 7, 8, 9, 1]),
];

describe('comparisons', () => {
  test('gather the pairs of a prompt, each of its answers once', () => {
    const comparisons = comparisonsOf(pairs);
    expect(comparisons.map(({ texts }) => texts.map((text) => Array.from(text)))).toEqual([
      [
        [3, 4, 5, 6, 1],
        [3, 4, 7, 1],
        [3, 4, 2, 2, 2, 1],
      ],
      [
        [9, 8, 8, 8, 1],
        [9, 5, 1],
      ],
      [
        [10, 11, 12, 13, 1],
        [10, 11, 12, 14, 15, 1],
      ],
      [
        [12, 4, 1],
        [12, 6, 7, 8, 9, 1],
      ],
    ]);
    expect(comparisons[0]!.pairs).toEqual([
      { better: 0, worse: 1 },
      { better: 0, worse: 2 },
      { better: 1, worse: 2 },
    ]);
  });

  test('end where the answer ends, whatever the template puts behind it', () => {
    const [comparison] = comparisonsOf([
      { chosen: sequence([3], [4, 1], [17]), rejected: sequence([3], [5, 1], [17]) },
    ]);
    expect(comparison!.texts.map((text) => Array.from(text))).toEqual([
      [3, 4, 1],
      [3, 5, 1],
    ]);
  });
});

describe('scores', () => {
  const texts = comparisonsOf(pairs).flatMap((comparison) => comparison.texts);

  test('of a text are the same alone and among others, in passes of any size', async () => {
    const together = await rewardScores({ model, offset: 0 }, texts);
    for (const [i, text] of texts.entries()) {
      const [alone] = await rewardScores({ model, offset: 0 }, [text]);
      expect(Math.abs(alone! - together[i]!)).toBeLessThan(1e-12);
    }
    const few = await rewardScores({ model, offset: 0 }, texts, 6);
    for (const [i, score] of few.entries()) expect(Math.abs(score - together[i]!)).toBeLessThan(1e-12);
  });

  test('are raised by the offset', async () => {
    const [raw] = await rewardScores({ model, offset: 0 }, [texts[0]!]);
    const [raised] = await rewardScores({ model, offset: 2.5 }, [texts[0]!]);
    expect(raised! - raw!).toBeCloseTo(2.5, 12);
  });

  test('give the memory of their passes back', async () => {
    const before = backend.memory().used;
    await rewardScores({ model, offset: 0 }, texts);
    expect(backend.memory().used).toBe(before);
  });
});

describe('a step', () => {
  const comparisons = comparisonsOf(pairs);
  const loss = { margin: 0.2, centring: 0.01 };

  async function gradientsOf(microBatches: (typeof comparisons)[]) {
    const optimizer = newOptimizer(model);
    const result = await rewardStep(optimizer, microBatches, loss);
    const gradients = new Map<string, number[]>();
    for (const [name, tensor] of optimizer.gradients) gradients.set(name, Array.from(await backend.read(tensor)));
    releaseOptimizer(optimizer);
    return { ...result, gradients };
  }

  test('is the mean over prompts of the mean over their pairs', async () => {
    const { loss: found, metrics } = await gradientsOf([comparisons]);
    const means = [];
    for (const { texts, pairs } of comparisons) {
      const scores = await rewardScores({ model, offset: 0 }, texts);
      const losses = pairs.map(({ better, worse }) => {
        const [winner, loser] = [scores[better]!, scores[worse]!];
        return Math.log(1 + Math.exp(-(winner - loser - 0.2))) + 0.01 * (winner + loser) ** 2;
      });
      means.push(losses.reduce((a, b) => a + b, 0) / losses.length);
    }
    expect(found).toBeCloseTo(means.reduce((a, b) => a + b, 0) / means.length, 12);
    expect(metrics.margin).toBeCloseTo(metrics.chosenScore - metrics.rejectedScore, 12);
  });

  test('is the same in one batch of four, two of two, four of one', async () => {
    const whole = await gradientsOf([comparisons]);
    for (const size of [2, 1]) {
      const batches = Array.from({ length: 4 / size }, (_, i) => comparisons.slice(i * size, (i + 1) * size));
      const divided = await gradientsOf(batches);
      expect(divided.loss).toBeCloseTo(whole.loss, 12);
      expect(divided.metrics.accuracy).toBe(whole.metrics.accuracy);
      for (const [name, gradient] of divided.gradients) {
        const expected = whole.gradients.get(name)!;
        for (const [i, value] of gradient.entries()) expect(value, name).toBeCloseTo(expected[i]!, 12);
      }
    }
  });

  test('has the gradient of central differences, in the head and below it', async () => {
    const { gradients } = await gradientsOf([comparisons]);
    for (const name of ['score.weight', 'model.norm.weight', 'model.layers.0.self_attn.qkv_proj.weight']) {
      const parameter = model.parameters.get(name)!;
      const values = Array.from(await backend.read(parameter));
      for (const k of [0, 3, 7]) {
        const at = async (shift: number): Promise<number> => {
          backend.write(
            parameter,
            Float64Array.from(values, (value, i) => (i === k ? value + shift : value)),
          );
          return (await gradientsOf([comparisons])).loss;
        };
        const slope = ((await at(1e-5)) - (await at(-1e-5))) / 2e-5;
        backend.write(parameter, Float64Array.from(values));
        expect(Math.abs(gradients.get(name)![k]! - slope), `${name} ${k}`).toBeLessThan(1e-8);
      }
    }
  });
});
