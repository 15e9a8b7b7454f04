import { describe, expect, it } from 'vitest';
import type { Point } from '../../src/report/curve.ts';
import { movingMean } from '../../src/report/stage-charts.ts';

describe('movingMean', () => {
  it('averages a twentieth of the points around each, fewer at the ends', () => {
    const points = Array.from({ length: 80 }, (_, i): Point => [i, i % 2]);
    const mean = movingMean(points);
    expect(mean[0]![1]).toBeCloseTo((0 + 1 + 0) / 3, 12);
    expect(mean[40]![1]).toBeCloseTo((0 + 1 + 0 + 1 + 0) / 5, 12);
    expect(mean[79]![1]).toBeCloseTo((1 + 0 + 1) / 3, 12);
  });

  it('leaves out what is not finite, and keeps it in its place', () => {
    const points: Point[] = [
      [1, 2],
      [2, Number.NaN],
      [3, 4],
      [4, Number.POSITIVE_INFINITY],
      [5, 6],
    ];
    expect(movingMean(points)).toEqual([
      [1, 2],
      [2, Number.NaN],
      [3, 4],
      [4, Number.POSITIVE_INFINITY],
      [5, 6],
    ]);
  });

  it('is quick on long runs', () => {
    const points = Array.from({ length: 200_000 }, (_, i): Point => [i, i % 2]);
    expect(movingMean(points)).toHaveLength(200_000);
  });
});
