import { type Axis, linearAxis, type Tick, valueAxis } from './axis.ts';
import { downsample, finiteRuns, type Point } from './downsample.ts';
import { type Fragment, html, jsonScript, type Markup } from './html.ts';
import { formatMetric, type MetricKind } from './metric.ts';

/** One line, or one set of joined dots. */
export interface Curve {
  /** What the legend calls it: its variant. */
  name: string;
  /** Place of its variant in the palette. */
  colour: number;
  /** What sets it apart from others of its name, such as `held out` or its seed; for the tooltip. */
  detail?: string;
  /** `faint`: many noisy points; `line`: a line; `dashed`: the second of a pair; `dots`: few measurements, joined. */
  mark: 'faint' | 'line' | 'dashed' | 'dots';
  /** Not in the tooltip, because another curve stands for it. */
  background?: boolean;
  points: readonly Point[];
  /** Standard deviation of each point over the seeds, drawn as a whisker. */
  deviations?: readonly (number | undefined)[];
}

export interface LineChart {
  title: string;
  /** How to read the marks, where that is not plain. */
  note?: string;
  /** What the picture shows, in a sentence, for those who do not see it. */
  description: string;
  xLabel: string;
  curves: readonly Curve[];
  /** In place of numbers, names under 0, 1, 2 … */
  categories?: readonly string[];
  /** How values are written and, for shares, where the axis ends. */
  kind: MetricKind;
}

/** Points drawn of one curve at most; with many curves fewer, so that the page stays small. */
const maximumPoints = (curves: number): number => Math.min(240, Math.max(80, Math.round(1200 / curves)));

/** The drawing is stretched to the width of its place; lines and text keep their size. */
const width = 1000;
const height = 400;

/** A figure with axes, curves, legend and the points for the tooltip. */
export function lineChart(chart: LineChart): Markup {
  const curves = chart.curves.filter(({ points }) => points.length > 0);
  const xAxis = chart.categories ? categoryAxis(chart.categories) : stepAxis(curves);
  const yAxis = valueAxis(curves.flatMap(extremes), chart.kind);
  const limit = maximumPoints(curves.length);
  const shown = curves.filter(({ background }) => !background);
  const lost = shown.flatMap(({ points }) => points.filter(([, y]) => !Number.isFinite(y))).length;
  const remarks = [yAxis.kind === 'log' && 'log scale', chart.note].filter(Boolean).join(' · ');
  const tooltip = {
    x: [xAxis.min, xAxis.max],
    y: [yAxis.min, yAxis.max],
    log: yAxis.kind === 'log',
    xLabel: chart.xLabel,
    categories: chart.categories,
    curves: shown.map((curve) => ({
      name: [curve.name, curve.detail].filter(Boolean).join(', '),
      colour: curve.colour,
      points: drawnPoints(curve, limit)
        .flat()
        .map(([x, y]) => [x, Number(y.toPrecision(5)), formatMetric(y, chart.kind)]),
    })),
  };
  return html`<figure class="chart">
<figcaption>${chart.title}${remarks && html` <small>${remarks}</small>`}</figcaption>
<div class="frame" role="img" aria-label="${chart.description}">
<div class="plot">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">
<path class="grid" d="${yAxis.ticks.map((tick) => `M0 ${coordinate(height * (1 - yAxis.position(tick.value)))}h${width}`).join('')}"/>
${curves.map((curve) => drawCurve(curve, xAxis, yAxis, limit))}
</svg>
${yAxis.ticks.map((tick) => html`<span class="y tick" style="bottom:${percent(yAxis.position(tick.value))}">${tick.label}</span>`)}
${xAxis.ticks.map((tick) => xTick(tick, xAxis))}
</div>
</div>
<div class="below">${legend(curves)}<span class="axis-name">${chart.xLabel}</span></div>
${lost > 0 && html`<p class="warning">Not finite, so left out: ${lost} of the values.</p>`}
${jsonScript(tooltip)}
</figure>`;
}

function xTick({ value, label }: Tick, axis: Axis): Markup {
  const position = axis.position(value);
  const edge = position > 0.97 ? ' last' : position < 0.03 ? ' first' : '';
  return html`<span class="x tick${edge}" style="left:${percent(position)}">${label}</span>`;
}

/** One entry a variant, with the mark of its plainest curve. */
function legend(curves: readonly Curve[]): Fragment {
  const plain = curves.filter(({ mark }) => mark === 'dots' || mark === 'line');
  const entries = new Map((plain.length > 0 ? plain : curves).map((curve) => [curve.name, curve]));
  if (entries.size < 2) return undefined;
  return html`<ul class="legend">${[...entries.values()].map(
    ({ name, colour, mark }) => html`<li class="c${colour}"><i class="key ${mark}"></i>${name}</li>`,
  )}</ul>`;
}

/** A dot is a line of no length with round ends, so that it stays round when the drawing is stretched. */
function drawCurve(curve: Curve, xAxis: Axis, yAxis: Axis, limit: number): Markup {
  const at = ([x, y]: Point) =>
    `${coordinate(width * xAxis.position(x))} ${coordinate(height * (1 - yAxis.position(y)))}`;
  const runs = drawnPoints(curve, limit);
  const line = runs.map((run) => `M${run.map(at).join('L')}`).join('');
  if (curve.mark !== 'dots') return html`<path class="c${curve.colour} ${curve.mark}" d="${line}"/>`;
  const dots = runs
    .flat()
    .map((point) => `M${at(point)}h0`)
    .join('');
  return html`<path class="c${curve.colour} joined" d="${line}"/>${whiskers(curve, at)}<path class="c${curve.colour} dots" d="${dots}"/>`;
}

function whiskers(curve: Curve, at: (point: Point) => string): Fragment {
  const d = curve.points.flatMap(([x, y], i) => {
    const deviation = curve.deviations?.[i];
    return deviation === undefined || !Number.isFinite(y + deviation)
      ? []
      : [`M${at([x, y - deviation])}L${at([x, y + deviation])}`];
  });
  return d.length > 0 && html`<path class="c${curve.colour} whisker" d="${d.join('')}"/>`;
}

const drawnPoints = ({ points }: Curve, limit: number): (readonly Point[])[] =>
  finiteRuns(points).map((run) => downsample(run, limit));

/** The values that the axis must hold: each point with its whisker. */
function extremes({ points, deviations }: Curve): number[] {
  return points.flatMap(([, y], i) => {
    const deviation = deviations?.[i] ?? 0;
    return deviation === 0 ? [y] : [y - deviation, y + deviation];
  });
}

function stepAxis(curves: readonly Curve[]): Axis {
  const xs = curves.flatMap(({ points }) => points.map(([x]) => x));
  const axis = linearAxis(
    0,
    xs.reduce((a, b) => Math.max(a, b), 1),
  );
  return { ...axis, ticks: axis.ticks.filter(({ value }) => Number.isInteger(value)) };
}

function categoryAxis(names: readonly string[]): Axis {
  const axis = linearAxis(-0.3, names.length - 0.7);
  return { ...axis, ticks: names.map((label, value) => ({ value, label })) };
}

const coordinate = (value: number): string => value.toFixed(1).replace(/\.0$/, '');
const percent = (share: number): string => `${(100 * share).toFixed(2)}%`;
