import { expect, it } from 'vitest';
import { asAmount, asCount, asWarmup } from '../../src/config/scaling.ts';

it('leaves one of what is counted, and none of none', () => {
  expect([asCount(1000, 0.01), asCount(30, 0.01), asCount(1, 0.01), asCount(0, 0.01)]).toEqual([10, 1, 1, 0]);
  expect(asCount(100, 2)).toBe(200);
});

it('divides what can be divided', () => {
  expect(asAmount(3, 0.01)).toBeCloseTo(0.03, 12);
});

it('scales a warm-up in steps, and not one that is a share of them', () => {
  expect([asWarmup(2000, 0.01), asWarmup(0.1, 0.01), asWarmup(0, 0.01)]).toEqual([20, 0.1, 0]);
});
