export type Point = readonly [x: number, y: number];

/**
 * At most `count` of the points, chosen so that the line looks the same: Largest-Triangle-Three-Buckets
 * (Steinarsson 2013, section 4.2). Spikes survive; the first and last points stay. All points must be finite.
 */
export function downsample(points: readonly Point[], count: number): readonly Point[] {
  if (points.length <= count || count < 3) return points;
  const width = (points.length - 2) / (count - 2);
  const bucket = (i: number) => points.slice(1 + Math.floor(i * width), 1 + Math.floor((i + 1) * width));
  const chosen: Point[] = [points[0]!];
  for (let i = 0; i < count - 2; i++) {
    const next = i === count - 3 ? points.slice(-1) : bucket(i + 1);
    const centre: Point = [average(next, 0), average(next, 1)];
    chosen.push(largestTriangle(chosen.at(-1)!, bucket(i), centre));
  }
  return [...chosen, points.at(-1)!];
}

function largestTriangle([ax, ay]: Point, candidates: readonly Point[], [cx, cy]: Point): Point {
  const area = ([x, y]: Point) => Math.abs((ax - cx) * (y - ay) - (ax - x) * (cy - ay));
  return candidates.reduce((best, point) => (area(point) > area(best) ? point : best));
}

const average = (points: readonly Point[], axis: 0 | 1): number =>
  points.reduce((sum, point) => sum + point[axis], 0) / points.length;

/** The runs of points between those with a non-finite value, where a line has to break. */
export function finiteRuns(points: readonly Point[]): Point[][] {
  const runs: Point[][] = [];
  let open = false;
  for (const point of points) {
    const finite = Number.isFinite(point[0]) && Number.isFinite(point[1]);
    if (finite && open) runs.at(-1)!.push(point);
    else if (finite) runs.push([point]);
    open = finite;
  }
  return runs;
}
