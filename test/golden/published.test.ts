import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pairLoss } from '../../src/losses/preference.ts';
import { defaultRotary } from '../../src/model/rotary.ts';
import type { Backend, HostArray } from '../../src/tensor/backends/backend.ts';
import type { AttentionShape } from '../../src/tensor/backends/kernels/self-attention.ts';
import { rmsNorm } from '../../src/tensor/fused/rms-norm.ts';
import { applyRotary, rotaryTables } from '../../src/tensor/fused/rotary.ts';
import { swiglu } from '../../src/tensor/fused/swiglu.ts';
import { sub } from '../../src/tensor/primitives.ts';
import { fromHost } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { scheduleFactor } from '../../src/training/schedule.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference } from './fixtures.ts';

/** The inputs of torchtune's test of its DPO losses, with β = 0.1. */
const pairs = {
  policyChosen: [-0.5, -10, -1],
  policyRejected: [-0.1, -30, -21],
  referenceChosen: [-0.5, -10.1, -0.1],
  referenceRejected: [-0.1, -20.1, -0.1],
};

describe('cosine schedule of the Mix-LN recipe', () => {
  // `step` counts as in the recipe, whose step 0 has a rate of 0. That update is left out here, so the warm-up and the
  // total are one step shorter.
  test.each([
    [500, 0.5],
    [1000, 1],
    [5500, 0.55],
    [9999, 0.10000003],
    [10000, 0.1],
  ])('step %d of 10000 after 1000 of warm-up', (step, factor) => {
    const schedule = { schedule: 'cosine', warmupSteps: 999, totalSteps: 9999, minLr: 0.1 } as const;
    expect(scheduleFactor(schedule, step)).toBeCloseTo(factor, 8);
  });
});

describe.each(backends)('reference vectors on $name', ({ open, bound }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  // The references are given to 1e-8.
  const digits = Math.max(bound, 1e-8);
  const shape: AttentionShape = { heads: 1, kvHeads: 1, headDim: 4, rotary: defaultRotary(4, 10000) };
  const input = (values: readonly number[], extent: readonly number[]): Tensor =>
    fromHost(backend, Float64Array.from(values), extent);
  const rotated = (x: readonly number[], position: number): Promise<HostArray> =>
    valuesOf(() => applyRotary(input(x, [1, 1, 4]), rotaryTables(backend, Int32Array.of(position), shape.rotary)));

  test.each([
    { position: 1, expected: [-1.98411065, 1.95990067, 2.4623779, 4.01979967] },
    { position: 2, expected: [-3.14403912, 1.91960535, -0.33914308, 4.03919736] },
  ])('rotary embedding at position $position', async ({ position, expected }) => {
    expect(largestDifference(await rotated([1, 2, 3, 4], position), expected)).toBeLessThan(digits);
  });

  test('a product of rotated vectors depends only on the distance between their positions', async () => {
    const wave = (phase: number) => [0, 1, 2, 3].map((k) => 0.2 * Math.sin(1.3 * k + phase));
    for (const shift of [0, 3, 11]) {
      const query = await rotated(wave(2.2), shift + 5);
      const key = await rotated(wave(3.6), shift + 2);
      const product = [0, 1, 2, 3].reduce((sum, k) => sum + query[k]! * key[k]!, 0);
      expect(Math.abs(product - 0.014360313536305905)).toBeLessThan(bound);
    }
  });

  test.each([
    { eps: 1e-6, expected: [0.36514835, 0.73029669, 1.09544504, 1.46059339] },
    { eps: 1e-5, expected: [0.36514813, 0.73029626, 1.09544438, 1.46059251] },
  ])('RMSNorm with eps $eps', async ({ eps, expected }) => {
    const y = await valuesOf(() => rmsNorm(input([1, 2, 3, 4], [1, 4]), input([1, 1, 1, 1], [4]), eps));
    expect(largestDifference(y, expected)).toBeLessThan(digits);
  });

  test.each([
    { loss: 'dpo', labelSmoothing: 0, expected: [Math.LN2, 0.313261688, 0.126928011] },
    { loss: 'dpo', labelSmoothing: 0.1, expected: [Math.LN2, 0.413261688, 0.326928011] },
    { loss: 'ipo', labelSmoothing: 0, expected: [25, 25, 225] },
    { loss: 'hinge', labelSmoothing: 0, expected: [1, 0, 0] },
  ] as const)('$loss with label smoothing $labelSmoothing', async ({ loss, labelSmoothing, expected }) => {
    const moved = (policy: number[], reference: number[]) => sub(input(policy, [3]), input(reference, [3]));
    const losses = await valuesOf(() => {
      const chosen = moved(pairs.policyChosen, pairs.referenceChosen);
      const rejected = moved(pairs.policyRejected, pairs.referenceRejected);
      return pairLoss(chosen, rejected, { loss, beta: 0.1, labelSmoothing, gamma: 0 });
    });
    const relative = Array.from(losses, (value, i) => (value - expected[i]!) / Math.max(1, expected[i]!));
    expect(largestDifference(relative, [0, 0, 0])).toBeLessThan(digits);
  });

  test('SiLU', async () => {
    const y = await valuesOf(() => swiglu(input([-2, -1, 0, 1, 2, 1, 1, 1, 1, 1], [1, 10])));
    expect(largestDifference(y, [-0.238405844, -0.2689414214, 0, 0.7310585786, 1.761594156])).toBeLessThan(digits);
  });
});
