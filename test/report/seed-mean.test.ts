import { expect, it } from 'vitest';
import type { Point } from '../../src/report/curve.ts';
import { meanOverSeeds } from '../../src/report/seed-mean.ts';

it('is the mean over the seeds that have a step, with the lowest and the highest', () => {
  const [first, second]: Point[][] = [
    [
      [1, 4],
      [2, 3],
      [3, 2],
    ],
    [
      [1, 6],
      [2, 5],
    ],
  ];
  const { points, band } = meanOverSeeds([{ points: first! }, { points: second! }]);
  expect(points).toEqual([
    [1, 5],
    [2, 4],
    [3, 2],
  ]);
  expect(band).toEqual([
    [4, 6],
    [3, 5],
    [2, 2],
  ]);
});

it('draws runs of many steps by their means, up to the last step', () => {
  const points = Array.from({ length: 1000 }, (_, i): Point => [i + 1, i + 1]);
  const mean = meanOverSeeds([{ points }, { points }]).points;
  expect(mean.length).toBeLessThanOrEqual(220);
  expect(mean[0]).toEqual([5, 3]);
  expect(mean.at(-1)![0]).toBe(1000);
});
