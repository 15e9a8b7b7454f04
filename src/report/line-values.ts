import type { Curve, LineChart } from './curve.ts';

/** Rows of a file of values; all steps are in the metrics.jsonl of a node. */
const mostRows = 1000;

/** Rows of a file of values: a column for each curve, one more for its deviations, and two for its band. */
export function valueRows(
  { xLabel, categories }: LineChart,
  curves: readonly Curve[],
): (string | number | undefined)[][] {
  const columns = curves.flatMap(({ name, detail, points, deviations, band }) => {
    const title = [name, detail].filter(Boolean).join(', ');
    const by = (values: readonly (number | undefined)[]) => new Map(points.map(([x], i) => [x, values[i]]));
    return [
      { title, values: by(points.map(([, y]) => y)) },
      ...(deviations?.some(Number.isFinite) ? [{ title: `${title}: deviation`, values: by(deviations) }] : []),
      ...(band
        ? [0, 1].map((end) => ({
            title: `${title}: ${end ? 'highest' : 'lowest'}`,
            values: by(band.map((range) => range[end])),
          }))
        : []),
    ];
  });
  const rows = placesOf(curves, mostRows).map((x) => [
    categories?.[x] ?? x,
    ...columns.map(({ values }) => values.get(x)),
  ]);
  return [[xLabel, ...columns.map(({ title }) => title)], ...rows];
}

/** All x of the curves in order; of very many, as many as are asked for and those of dots. */
export function placesOf(curves: readonly Curve[], most: number): number[] {
  const all = [...new Set(curves.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const dots = new Set(curves.flatMap(({ mark, points }) => (mark === 'dots' ? points.map(([x]) => x) : [])));
  const stride = Math.ceil(all.length / most);
  return all.filter((x, i) => i % stride === 0 || dots.has(x));
}
