import type { Curve, Point, Range } from './curve.ts';

/** Places at which a mean is drawn, at most: two pixels of a chart. */
const mostPlaces = 220;

/** The mean over curves of several seeds, with the lowest and the highest; of many steps, of runs of them. */
export function meanOverSeeds(curves: readonly Pick<Curve, 'points'>[]): { points: Point[]; band: Range[] } {
  const steps = [...new Set(curves.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const run = Math.ceil(steps.length / mostPlaces);
  const ends = steps.filter((_, i) => (i + 1) % run === 0 || i === steps.length - 1);
  const placed = curves.map(({ points }) => meansUpTo(ends, points));
  const places = ends.flatMap((x, i) => {
    const values = placed.flatMap((means) => means[i] ?? []);
    return values.length > 0 ? [{ x, values }] : [];
  });
  return {
    points: places.map(({ x, values }) => [x, mean(values)]),
    band: places.map(({ values }) => [Math.min(...values), Math.max(...values)]),
  };
}

/** For each end, the mean of the points after the end before it; undefined where there are none. */
function meansUpTo(ends: readonly number[], points: readonly Point[]): (number | undefined)[] {
  let next = 0;
  return ends.map((end) => {
    const values: number[] = [];
    for (; next < points.length && points[next]![0] <= end; next++) values.push(points[next]![1]);
    return values.length > 0 ? mean(values) : undefined;
  });
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
