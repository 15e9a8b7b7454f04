import { type MetricKind, metricKind } from '../evaluation/metrics.ts';
import type { NumericRecord, RecordedNode } from '../runs/pipeline-folder.ts';
import { counters } from '../runs/records.ts';
import { isJudgedApart, spread } from './comparison.ts';
import type { Curve, LineChart, Point } from './curve.ts';
import { formatMetric } from './format.ts';
import { frontierChart } from './frontier.ts';
import { type Fragment, html, type Markup } from './html.ts';
import { lineChart } from './line-chart.ts';
import { meanOverSeeds } from './seed-mean.ts';

/** Shown at once and in this order; all others are folded away. */
const mainMetrics = [
  'loss',
  'accuracy',
  'margin',
  'chosenReward',
  'reward',
  'kl',
  'verifiedReward',
  'modelReward',
  'gradientNorm',
];

/** Counters, not measurements; and what the loss shows already. */
const leftOut = new Set([...counters, 'perplexity']);

/** The curves of all variants of one stage of `all`, a chart for each metric that its nodes have recorded. */
export function stageCharts(stage: string, all: readonly RecordedNode[], variants: readonly string[]): Fragment {
  const nodes = all.filter((node) => node.stage === stage);
  const metrics = new Set(nodes.flatMap(({ steps, evaluations }) => [...namesOf(steps), ...namesOf(evaluations)]));
  const names = [...metrics].filter(
    (name) => !leftOut.has(name) && !(name !== chosenOf(name) && metrics.has(chosenOf(name))),
  );
  const main = mainMetrics.filter((name) => names.includes(name));
  const others = names.filter((name) => !main.includes(name)).sort();
  const scales = (name: string) =>
    variants.length > 1 && isJudgedApart(`held out/${name}`, nodes, all) ? 'each on a scale of its own' : '';
  const draw = (name: string) => metricChart(name, metrics, nodes, variants, scales(name));
  if (names.length === 0) return undefined;
  return html`<div class="charts">${main.map(draw)}${frontierChart(stage, all, variants)}</div>
${others.length > 0 && html`<details><summary>More curves: ${others.map((name) => metricKind(name).label).join(', ')}</summary><div class="charts">${others.map(draw)}</div></details>`}`;
}

/** What was recorded more than once, so that there is a curve; names with a task in them are measurements of models. */
function namesOf(records: readonly NumericRecord[]): string[] {
  if (records.length < 2) return [];
  return [...new Set(records.flatMap(Object.keys))].filter((name) => !name.includes('/'));
}

const rejectedOf = (name: string): string => name.replace('chosen', 'rejected').replace('Chosen', 'Rejected');
const chosenOf = (name: string): string => name.replace('rejected', 'chosen').replace('Rejected', 'Chosen');

function metricChart(
  name: string,
  metrics: ReadonlySet<string>,
  nodes: readonly RecordedNode[],
  variants: readonly string[],
  scales: string,
): Markup {
  const kind = metricKind(name);
  const rejected = rejectedOf(name);
  const pair = rejected !== name && metrics.has(rejected);
  const curves = variants.flatMap((variant, colour) => {
    const own = nodes.filter((node) => (node.variant ?? 'shared') === variant);
    const base = { name: variant, colour };
    return pair ? pairCurves([name, rejected], base, own) : metricCurves(name, base, own);
  });
  const label = pair ? kind.label.replace('chosen', 'chosen and rejected') : kind.label;
  const title = label[0]!.toUpperCase() + label.slice(1);
  const note = [noteOn(curves), scales].filter(Boolean).join('; ');
  const description = describe(title, kind, curves);
  const chart: LineChart = { title, group: nodes[0]!.stage, description, xLabel: 'step', curves, kind };
  return lineChart(note === '' ? chart : { ...chart, note });
}

type Base = Pick<Curve, 'name' | 'colour'>;

/** Training as a line and evaluation as dots; of several seeds the mean, with a band or whiskers over them. */
function metricCurves(name: string, base: Base, nodes: readonly RecordedNode[]): Curve[] {
  const held = evaluationCurve(name, base, nodes);
  const training = seedCurves(name, base, nodes);
  const [first] = training;
  if (!first) return held ? [held] : [];
  if (training.length > 1) {
    const mean: Curve = { ...base, ...meanOverSeeds(training.map(smoothed)), mark: held ? 'light' : 'line' };
    return held ? [{ ...mean, detail: 'training' }, held] : [mean];
  }
  if (held) return [{ ...faint(first), detail: 'training' }, held];
  return isNoisy(first.points) ? [{ ...faint(first), background: true }, smoothed(first)] : [first];
}

function pairCurves(
  [chosen, rejected]: readonly [string, string],
  base: Base,
  nodes: readonly RecordedNode[],
): Curve[] {
  const side = (name: string, detail: string, mark: Curve['mark']): Curve[] => {
    const curves = seedCurves(name, base, nodes).map(smoothed);
    if (curves.length === 0) return [];
    return [{ ...(curves.length > 1 ? { ...base, ...meanOverSeeds(curves) } : curves[0]!), detail, mark }];
  };
  return [...side(chosen, 'chosen', 'line'), ...side(rejected, 'rejected', 'light')];
}

const faint = (curve: Curve): Curve => ({ ...curve, mark: 'faint' });

function noteOn(curves: readonly Curve[]): string {
  const has = (mark: Curve['mark']) => curves.some((curve) => curve.mark === mark);
  const marks = () => {
    if (curves.some(({ detail }) => detail === 'rejected')) return 'strong: chosen, thin: rejected';
    if (has('dots')) return has('faint') || has('light') ? 'dots: held out, thin: training' : 'held out';
    return has('faint') ? 'moving mean, thin: each step' : '';
  };
  const bands = curves.some(({ band }) => band) ? 'mean of the seeds, band: lowest to highest' : '';
  const whiskers = curves.some(({ deviations }) => deviations?.some(Number.isFinite));
  return [marks(), bands, whiskers && 'whiskers: standard deviation'].filter(Boolean).join('; ');
}

function seedCurves(name: string, base: Base, nodes: readonly RecordedNode[]): Curve[] {
  return nodes.flatMap(({ steps }): Curve[] => {
    const points = pointsOf(steps, name);
    return points.length > 0 ? [{ ...base, mark: 'line', points }] : [];
  });
}

const pointsOf = (records: readonly NumericRecord[], name: string): Point[] =>
  records.flatMap(({ step, [name]: value }): Point[] =>
    step === undefined || value === undefined ? [] : [[step, value]],
  );

function evaluationCurve(name: string, base: Base, nodes: readonly RecordedNode[]): Curve | undefined {
  const byStep = new Map<number, number[]>();
  for (const [step, value] of nodes.flatMap(({ evaluations }) => pointsOf(evaluations, name))) {
    byStep.set(step, [...(byStep.get(step) ?? []), value]);
  }
  if (byStep.size === 0) return undefined;
  const steps = [...byStep.keys()].sort((a, b) => a - b);
  const means = steps.map((step) => spread(byStep.get(step)!));
  const points = steps.map((step, i): Point => [step, means[i]!.mean]);
  return {
    ...base,
    detail: 'held out',
    mark: 'dots',
    points,
    deviations: means.map(({ deviation }) => deviation),
  };
}

/** Whether the line turns at more than every fourth point, so that only its mean can be compared. */
function isNoisy(points: readonly Point[]): boolean {
  let turns = 0;
  for (let i = 2; i < points.length; i++) {
    const [before, here, after] = [points[i - 2]![1], points[i - 1]![1], points[i]![1]];
    if ((here - before) * (after - here) < 0) turns++;
  }
  return points.length > 40 && turns > points.length / 4;
}

/** The moving mean over a twentieth of the points, centred; lines that are not noisy stay as they are. */
function smoothed(curve: Curve): Curve {
  return isNoisy(curve.points) ? { ...curve, points: movingMean(curve.points) } : curve;
}

/** Over finite values; what is not finite stays where it is. */
export function movingMean(points: readonly Point[]): Point[] {
  const reach = Math.max(1, Math.round(points.length / 40));
  const sums = [0];
  const counts = [0];
  for (const [, y] of points) {
    sums.push(sums.at(-1)! + (Number.isFinite(y) ? y : 0));
    counts.push(counts.at(-1)! + Number(Number.isFinite(y)));
  }
  return points.map(([x, y], i): Point => {
    if (!Number.isFinite(y)) return [x, y];
    const [from, to] = [Math.max(0, i - reach), Math.min(points.length, i + reach + 1)];
    return [x, (sums[to]! - sums[from]!) / (counts[to]! - counts[from]!)];
  });
}

/** First and last value of each curve, for those who do not see the picture. */
function describe(title: string, kind: MetricKind, curves: readonly Curve[]): string {
  const parts = curves.flatMap(({ name, detail, points, background }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (background || !first || !last) return [];
    return [
      `${[name, detail].filter(Boolean).join(', ')} from ${formatMetric(first[1], kind)} to ${formatMetric(last[1], kind)} at step ${last[0]}`,
    ];
  });
  return `${title}: ${parts.join('; ')}.`;
}
