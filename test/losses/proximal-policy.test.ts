import { describe, expect, test } from 'vitest';
import { clipFraction, clippedPolicyLoss } from '../../src/losses/clipped-policy.ts';
import { clippedValueLoss, explainedVariance } from '../../src/losses/clipped-value.ts';
import { mean } from '../../src/tensor/primitives.ts';
import { expectClose, expectGradients, tensor, valuesOf } from './gradients.ts';

const range = { low: 0.2, high: 0.2 };

async function policyLoss(logProbs: number[], old: number[], advantages: number[]): Promise<number> {
  const [loss] = await valuesOf(() =>
    mean(clippedPolicyLoss(tensor(logProbs), tensor(old), tensor(advantages), range)),
  );
  return loss!;
}

describe('clipped surrogate', () => {
  const logSoftmax = (logits: number[], action: number): number =>
    logits[action]! - Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 0));
  const taken = (logits: number[][]): number[] => logits.map((row, action) => logSoftmax(row, action));
  const now = taken([
    [1, 1, 1],
    [2, 0, 0],
    [-1, -2, -3],
  ]);
  const before = taken([
    [1, 1, 1],
    [2, 0, 0],
    [-3, -2, -1],
  ]);

  test.each([
    { advantages: [0.3, 0.2, 0.1], expected: -0.17117784277455375 },
    { advantages: [-0.3, -0.2, -0.1], expected: 0.19333333333333333 },
  ])('of rlax with advantages $advantages', async ({ advantages, expected }) => {
    expect(await policyLoss(now, before, advantages)).toBeCloseTo(expected, 12);
  });

  test.each([
    { name: 'high', logProbs: [1.5, 1.8, 2.2], advantage: 1, expected: -1.2, clipped: 1 },
    { name: 'low', logProbs: [-0.5, -0.2, 0.2], advantage: 1, expected: -0.36787944117144233, clipped: 0 },
    { name: 'unclipped', logProbs: [0.6, 0.9, 1.3], advantage: 1, expected: -1.1051709180756475, clipped: 0 },
    { name: 'high, negated', logProbs: [1.5, 1.8, 2.2], advantage: -1, expected: Math.E, clipped: 0 },
    { name: 'low, negated', logProbs: [-0.5, -0.2, 0.2], advantage: -1, expected: 0.8, clipped: 1 },
  ])('of one side: $name', async ({ logProbs, advantage, expected, clipped }) => {
    const old = [0.5, 0.8, 1.2];
    const advantages = old.map(() => advantage);
    expect(await policyLoss(logProbs, old, advantages)).toBeCloseTo(expected, 12);
    expect(clipFraction(logProbs, old, advantages, range)).toBe(clipped);
  });

  test('bounds up and down may differ', async () => {
    const [logProbs, old, advantages] = [
      [0.5, -0.5, 0.2],
      [0, 0, 0],
      [1, -1, 1],
    ] as const;
    const losses = await valuesOf(() =>
      clippedPolicyLoss(tensor(logProbs), tensor(old), tensor(advantages), { low: 0.1, high: 0.3 }),
    );
    expectClose(losses, [-1.3, 0.9, -Math.exp(0.2)], 1e-12);
    expect(clipFraction(logProbs, old, advantages, { low: 0.1, high: 0.3 })).toBeCloseTo(2 / 3, 12);
    expect(clipFraction(logProbs, old, advantages, { low: 0.5, high: 0.7 })).toBe(0);
  });

  test('the gradient is that of central differences, and 0 where clipping ends it', async () => {
    const old = [-1, -1, -1, -1, -1, -1];
    const advantages = [1, -1, 2, -2, 0.5, -0.5];
    const logProbs = [-0.5, -0.5, -1.6, -1.6, -0.95, -1.1];
    const [gradient] = await expectGradients([logProbs], (x) =>
      clippedPolicyLoss(x, tensor(old), tensor(advantages), range),
    );
    expect(gradient!.map((value) => value === 0)).toEqual([true, false, false, true, false, false]);
  });

  test('at the policy that sampled, the gradient is that of the plain policy gradient', async () => {
    const [gradient] = await expectGradients([[-1, -2, -3]], (x) =>
      clippedPolicyLoss(x, tensor([-1, -2, -3]), tensor([0.5, -2, 1]), range),
    );
    expectClose(gradient!, [-0.5, 2, -1], 1e-12);
  });
});

describe('clipped value loss', () => {
  // By hand: v 1.5, clipped to 1.2, R 0: ½ · max(2.25, 1.44); v 1.5, R 3: ½ · max(2.25, 3.24); v 1.1, inside: ½ · 0.81.
  const [values, old, returns] = [
    [1.5, 1.5, 1.1],
    [1, 1, 1],
    [0, 3, 2],
  ];

  test('takes the larger of the clipped and the plain error', async () => {
    const losses = await valuesOf(() => clippedValueLoss(tensor(values!), tensor(old!), tensor(returns!), 0.2));
    expectClose(losses, [1.125, 1.62, 0.405], 1e-12);
  });

  test('without clipping is half the squared error', async () => {
    const losses = await valuesOf(() =>
      clippedValueLoss(tensor(values!), tensor(old!), tensor(returns!), Number.POSITIVE_INFINITY),
    );
    expectClose(losses, [1.125, 1.125, 0.405], 1e-12);
  });

  test.each([0.2, Number.POSITIVE_INFINITY])('its gradient is that of central differences, ε %d', async (epsilon) => {
    await expectGradients([values!], (x) => clippedValueLoss(x, tensor(old!), tensor(returns!), epsilon));
  });

  test('explained variance is 1 for the returns themselves and 0 for their mean', () => {
    expect(explainedVariance([1, 2, 6], [1, 2, 6])).toBe(1);
    expect(explainedVariance([3, 3, 3], [1, 2, 6])).toBe(0);
    expect(explainedVariance([2, 3, 7], [1, 2, 6])).toBe(1);
  });
});
