import { describe, expect, test } from 'vitest';
import { generalisedAdvantages } from '../../src/losses/advantages.ts';
import { expectClose } from './gradients.ts';

describe('generalised advantages', () => {
  test('of tensorflow/agents, where discounts of 0 end episodes', () => {
    const { advantages } = generalisedAdvantages({
      rewards: Array(9).fill(1),
      values: Array(9).fill(3),
      discount: [1, 1, 1, 1, 0, 0.9, 0.9, 0.9, 0],
      lambda: 0.95,
      finalValue: 3,
    });
    expectClose(advantages, [2.0808625, 1.13775, 0.145, -0.9, -2.0, 0.56016475, -0.16355, -1.01, -2.0], 1e-10);
  });

  const rowA = {
    rewards: [0, 0, 1, 0, -0.5],
    values: [1, 4, -3, -2, -1],
    discount: [0.99, 0.99, 0.99, 0.99, 0.99],
    finalValue: -1,
  };
  const rowB = {
    rewards: [0, 0, 0, 0, 1],
    values: [-3, -2, -1, 0, 5],
    discount: [0.9, 0.9, 0.9, 0, 0.9],
    finalValue: -1,
  };
  test.each([
    { row: rowA, lambda: 1, expected: [-1.45118, -4.4557, 2.5396, 0.5249, -0.49] },
    { row: rowA, lambda: 0.7, expected: [-0.676979, -5.248167, 2.4846, 0.6704, -0.49] },
    { row: rowA, lambda: 0.4, expected: [0.56731, -6.042, 2.3431, 0.815, -0.49] },
    { row: rowB, lambda: 1, expected: [3, 2, 1, 0, -4.9] },
    { row: rowB, lambda: 0.7, expected: [2.2899, 1.73, 1, 0, -4.9] },
    { row: rowB, lambda: 0.4, expected: [1.725, 1.46, 1, 0, -4.9] },
  ])('of rlax with λ $lambda, as published to 1e-3', ({ row, lambda, expected }) => {
    expectClose(generalisedAdvantages({ ...row, lambda }).advantages, expected, 1e-3);
  });

  test.each([
    {
      rewards: [101, 102, 103, 200],
      values: [-3, 2, 3, 4],
      returns: [454.8345, 376.1143, 291.298, 200],
      advantages: [457.8345, 374.1143, 288.298, 196],
    },
    {
      rewards: [104, 105, 106, 201],
      values: [-1, 5, 6, 7],
      returns: [464.561, 383.1085, 295.387, 201],
      advantages: [465.561, 378.1085, 289.387, 194],
    },
    {
      rewards: [107, 108, 109, 202],
      values: [-2, 8, 9, 10],
      returns: [474.2876, 390.1027, 299.476, 202],
      advantages: [476.2876, 382.1027, 290.476, 192],
    },
  ])('and returns of tianshou for $rewards', ({ rewards, values, returns, advantages }) => {
    const found = generalisedAdvantages({ rewards, values, discount: 0.99, lambda: 0.95 });
    expectClose(found.returns, returns, 1e-4);
    expectClose(found.advantages, advantages, 1e-4);
  });

  test('returns of torchtune', () => {
    const trajectory = { rewards: [0, 0, 0, 1], values: [0, 0, 0, 1], discount: 0.9, lambda: 0.95 };
    expectClose(generalisedAdvantages(trajectory).returns, [0.6579225, 0.7695, 0.9, 1], 1e-10);
  });

  test('a value too many is found', () => {
    expect(() => generalisedAdvantages({ rewards: [1], values: [1, 2], discount: 1, lambda: 1 })).toThrow(/2 values/);
  });
});
