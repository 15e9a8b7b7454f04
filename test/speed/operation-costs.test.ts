import { expect, test } from 'vitest';
import { ofRoofline, operationShares } from '../../src/speed/operation-costs.ts';

const roofline = { gemmGflops: 100, gigabytesPerSecond: 10 };

test('an operation is held to the limit that it meets first', () => {
  expect(ofRoofline({ flops: 50e9, bytes: 1e9, seconds: 1 }, roofline)).toBeCloseTo(0.5);
  expect(ofRoofline({ flops: 1e9, bytes: 5e9, seconds: 1 }, roofline)).toBeCloseTo(0.5);
  expect(ofRoofline({ flops: 0, bytes: 0, seconds: 1 }, roofline)).toBeUndefined();
});

test('operations are listed by their share of the time', () => {
  const cost = (operation: string, seconds: number) => ({ operation, calls: 1, seconds, flops: 1e9, bytes: 0 });
  const shares = operationShares([cost('norm', 1), cost('product', 3)], roofline);
  expect(shares.map(({ operation, share }) => [operation, share])).toEqual([
    ['product', 0.75],
    ['norm', 0.25],
  ]);
});
