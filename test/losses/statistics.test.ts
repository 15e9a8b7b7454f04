import { describe, expect, test } from 'vitest';
import { adaptedCoefficient } from '../../src/losses/adaptive-kl.ts';
import { grpoAdvantages, tokenWeights } from '../../src/losses/grpo.ts';
import { maskedMean, maskedVariance, whiten } from '../../src/losses/masked.ts';
import { rlooAdvantages } from '../../src/losses/rloo.ts';
import { responseLength } from '../../src/losses/stop-tokens.ts';
import { expectClose } from './gradients.ts';

describe('masked statistics', () => {
  test.each([
    { x: [1, 2, 3, 4], mask: [0, 1, 1, 0], mean: 2.5, variance: 0.5 },
    { x: [1, 2, 3, 4, 5], mask: [1, 1, 1, 0, 0], mean: 2, variance: 1 },
  ])('of $x under $mask', ({ x, mask, mean, variance }) => {
    expect(maskedMean(x, mask)).toBe(mean);
    expect(maskedVariance(x, mask)).toBe(variance);
  });

  test('means of rows are those of torchtune', () => {
    expect(maskedMean([1, 2, 3, 4, 5], [1, 1, 1, 0, 0])).toBe(2);
    expect(maskedMean([2, 3, 4, 5, 6], [0, 0, 1, 1, 1])).toBe(5);
  });

  // (1, 2, 3) has mean 2 and variance 1.
  test('whitening removes the mean or keeps it, and what is masked becomes 0', () => {
    const mask = [1, 1, 1, 0];
    expectClose(whiten([1, 2, 3, 99], mask, 'remove'), [-1, 0, 1, 0], 1e-7);
    expectClose(whiten([1, 2, 3, 99], mask, 'keep'), [1, 2, 3, 0], 1e-7);
    expectClose(whiten([10, 20, 30, 99], mask, 'remove'), [-1, 0, 1, 0], 1e-7);
    expectClose(whiten([10, 20, 30, 99], mask, 'keep'), [19, 20, 21, 0], 1e-7);
  });

  test('one element cannot be whitened', () => {
    expect(() => whiten([1, 2], [1, 0], 'remove')).toThrow(/at least two/);
  });
});

describe('advantages within a group', () => {
  test('leave-one-out, of TRL 0.11', () => {
    const rewards = [1, 2, 3, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const ofPrompt = (prompt: number) => rewards.filter((_, i) => i % 3 === prompt);
    for (const prompt of [0, 1, 2]) {
      expectClose(rlooAdvantages(ofPrompt(prompt)), [-4, -2.66666667, 1.33333333, 5.33333333], 1e-8);
    }
    expect(() => rlooAdvantages([1])).toThrow(/two responses/);
  });

  // 1, 2, 3: mean 2, deviation 1.
  test('group-relative, divided by the deviation or not', () => {
    expectClose(grpoAdvantages([1, 2, 3]), [-1 / 1.0001, 0, 1 / 1.0001], 1e-12);
    expectClose(grpoAdvantages([1, 2, 3], 'none'), [-1, 0, 1], 1e-12);
    expectClose(grpoAdvantages([5, 5, 5]), [0, 0, 0], 1e-12);
    expect(() => grpoAdvantages([1])).toThrow(/two responses/);
  });

  test('weights of tokens', () => {
    const lengths = [1, 3, 0, 4];
    expectClose(tokenWeights(lengths, 'response', 8), [1 / 4, 1 / 12, 0, 1 / 16], 1e-12);
    expectClose(tokenWeights(lengths, 'token', 8), [1 / 8, 1 / 8, 0, 1 / 8], 1e-12);
    expectClose(tokenWeights(lengths, 'constant', 8), [1 / 32, 1 / 32, 0, 1 / 32], 1e-12);
  });
});

describe('adaptive KL coefficient', () => {
  // Target 6, horizon 10000, 256 samples: at most 0.2 · 256 / 10000 = 0.512 % a step.
  test.each([
    { kl: 6, expected: 0.2 },
    { kl: 60, expected: 0.201024 },
    { kl: 0, expected: 0.198976 },
    { kl: 6.6, expected: 0.200512 },
  ])('a KL of $kl makes 0.2 to $expected', ({ kl, expected }) => {
    expect(adaptedCoefficient(0.2, kl, 256, { target: 6, horizon: 10000 })).toBeCloseTo(expected, 12);
  });
});

describe('truncation behind the first stop token', () => {
  test.each([
    { tokens: [869, 30, 869], truncated: [869, 0, 0], filled: [false, true, true] },
    { tokens: [2, 30, 869], truncated: [2, 0, 0], filled: [false, true, true] },
    { tokens: [869, 30, 2], truncated: [869, 0, 0], filled: [false, true, true] },
    { tokens: [50, 30, 869], truncated: [50, 30, 869], filled: [false, false, false] },
    { tokens: [13, 30, 2], truncated: [13, 30, 2], filled: [false, false, false] },
    { tokens: [13, 30, 5], truncated: [13, 30, 5], filled: [false, false, false] },
    { tokens: [13, 2, 20], truncated: [13, 2, 0], filled: [false, false, true] },
    { tokens: [13, 2, 2], truncated: [13, 2, 0], filled: [false, false, true] },
    { tokens: [2, 2, 2], truncated: [2, 0, 0], filled: [false, true, true] },
  ])('$tokens of torchtune', ({ tokens, truncated, filled }) => {
    const length = responseLength(tokens, [2, 869]);
    expect(tokens.map((token, i) => (i < length ? token : 0))).toEqual(truncated);
    expect(tokens.map((_, i) => i >= length)).toEqual(filled);
  });
});
