import { describe, expect, it } from 'vitest';
import { downsample, finiteRuns, type Point } from '../../src/report/downsample.ts';

describe('downsample', () => {
  it('keeps the ends and a spike among thousands of points', () => {
    const points = Array.from({ length: 5000 }, (_, x): Point => [x, x === 3217 ? 40 : Math.sin(x / 300)]);
    const kept = downsample(points, 100);
    expect(kept).toHaveLength(100);
    expect(kept[0]).toEqual(points[0]);
    expect(kept.at(-1)).toEqual(points.at(-1));
    expect(kept).toContainEqual([3217, 40]);
    expect(kept.map(([x]) => x)).toEqual(kept.map(([x]) => x).sort((a, b) => a - b));
  });

  it('chooses the corner of a bend, by hand: the triangle over (0,0), (x,y), (4,0) is largest at (2,3)', () => {
    const points: Point[] = [
      [0, 0],
      [1, 1],
      [2, 3],
      [3, 1],
      [4, 0],
    ];
    expect(downsample(points, 3)).toEqual([
      [0, 0],
      [2, 3],
      [4, 0],
    ]);
  });

  it('returns few points as they are', () => {
    const points: Point[] = [
      [0, 1],
      [1, 2],
    ];
    expect(downsample(points, 240)).toBe(points);
  });
});

describe('finiteRuns', () => {
  it('breaks the line at values that are not finite', () => {
    const points: Point[] = [
      [1, Number.NaN],
      [2, 5],
      [3, 6],
      [4, Number.POSITIVE_INFINITY],
      [5, 7],
    ];
    expect(finiteRuns(points)).toEqual([
      [
        [2, 5],
        [3, 6],
      ],
      [[5, 7]],
    ]);
  });
});
