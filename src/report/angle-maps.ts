import { analyses } from '../analysis/index.ts';
import type { ResultRow } from '../runs/results.ts';
import { heatMap } from './heat-map.ts';
import { type Fragment, html, type Markup } from './html.ts';

/** The streams of two depths hardly ever point further apart than at right angles. */
const rightAngle = 0.5;

/**
 * Angular distances between the streams of all depths, a map for each variant, in the mean over the seeds. All have one
 * scale: maps that are each stretched to their own extremes cannot be compared.
 */
export function angleMaps(results: readonly ResultRow[], variants: readonly string[]): Fragment[] {
  return [...new Set(results.map(({ stage }) => stage))].flatMap((stage) => {
    const ofStage = results.filter((row) => row.stage === stage);
    const maps = variants.flatMap((variant) => angleMap(stage, variant, ofStage));
    return maps.length > 0 ? [html`<h3>${stage}: angles between depths</h3>\n<div class="maps">${maps}</div>`] : [];
  });
}

function angleMap(stage: string, variant: string, rows: readonly ResultRow[]): Markup[] {
  const own = rows.filter((row) => (row.variant ?? 'shared') === variant);
  const matrices = own.flatMap(({ analysis }) => {
    const { data } = analyses.angular.found.safeParse(analysis?.angular);
    return data ? [data.last] : [];
  });
  const [first] = matrices;
  if (!first) return [];
  const mean = first.map((line, row) =>
    line.map((_, column) => matrices.reduce((sum, matrix) => sum + matrix[row]![column]!, 0) / matrices.length),
  );
  const neighbours = mean.slice(1).map((line, row) => line[row]!);
  const range = [Math.min(...neighbours), Math.max(...neighbours)].map((angle) => angle.toFixed(3)).join(' to ');
  return [
    heatMap({
      title: variant,
      group: `${stage} angles`,
      note: 'at the last token, in units of π; 0.5 is a right angle',
      description: `Angular distances between the depths of ${variant}: ${range} from one to the next, ${mean[0]!.at(-1)!.toFixed(3)} from the first to the last.`,
      values: mean,
      axisName: 'layer',
      valueName: 'angular distance',
      most: rightAngle,
    }),
  ];
}
