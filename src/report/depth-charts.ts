import { recordedDepths } from '../analysis/depth-record.ts';
import { profilesOf } from '../analysis/index.ts';
import { prunedLosses } from '../analysis/pruning.ts';
import type { RecordedNode } from '../runs/pipeline-folder.ts';
import type { ResultRow } from '../runs/results.ts';
import { spread } from './comparison.ts';
import type { Curve, Point } from './curve.ts';
import { type Fragment, html, type Markup } from './html.ts';
import { lineChart } from './line-chart.ts';

const numbering = 'Layers are counted from 1; 0 is the embedding.';

/** How the variants use their depth: a chart for each analysis, in the mean over the seeds. */
export function depthSections(results: readonly ResultRow[], variants: readonly string[]): Fragment[] {
  const analysed = results.filter(({ analysis }) => analysis !== undefined);
  return [...new Set(analysed.map(({ stage }) => stage))].flatMap((stage) => {
    const charts = depthCharts(
      analysed.filter((row) => row.stage === stage),
      variants,
    );
    return charts.length > 0
      ? [html`<h3>${stage}</h3>\n<p class="soft">${numbering}</p>\n<div class="charts">${charts}</div>`]
      : [];
  });
}

interface Profile {
  variant: string | undefined;
  label: string;
  meaning: string;
  values: readonly (number | undefined)[];
  /** What the place of a value is the number of. */
  xLabel: string;
}

function depthCharts(rows: readonly ResultRow[], variants: readonly string[]): Markup[] {
  const profiles = rows.flatMap(({ variant, analysis = {} }): Profile[] => [
    ...profilesOf(analysis).map((profile) => ({ ...profile, variant, xLabel: 'layer' })),
    ...prunedLosses(analysis.pruning).map((losses) => ({ ...losses, variant, xLabel: 'layers taken out' })),
  ]);
  return [...new Set(profiles.map(({ label }) => label))].map((label) => {
    const own = profiles.filter((profile) => profile.label === label);
    const { meaning, xLabel } = own[0]!;
    const title = label[0]!.toUpperCase() + label.slice(1);
    return lineChart({
      title,
      group: rows[0]!.stage,
      note: meaning,
      description: `${title} by ${xLabel}, ${variants.join(' and ')}: ${meaning}.`,
      xLabel,
      curves: variants.map((name, colour) => curveOf(own, name, colour)),
      kind: { label },
    });
  });
}

/** What was analysed without a variant counts for all. */
function curveOf(profiles: readonly Profile[], name: string, colour: number): Curve {
  const own = profiles.filter(({ variant = 'shared' }) => variant === name || variant === 'shared');
  const depths = Array.from({ length: Math.max(0, ...own.map(({ values }) => values.length)) }, (_, depth) => depth);
  const measured = depths.flatMap((depth) => {
    const values = own.flatMap((profile) => profile.values[depth] ?? []);
    return values.length > 0 ? [{ depth, ...spread(values) }] : [];
  });
  const points = measured.map(({ depth, mean }): Point => [depth, mean]);
  return { name, colour, mark: 'dots', points, deviations: measured.map(({ deviation }) => deviation) };
}

/** Steps that are drawn of those whose gradients were recorded, at most. */
const stepsDrawn = 8;

/** How the gradients of layers change while a stage trains: a chart for each variant, in the mean over its seeds. */
export function gradientSections(nodes: readonly RecordedNode[], variants: readonly string[]): Fragment[] {
  return [...new Set(nodes.map(({ stage }) => stage))].flatMap((stage) => {
    const charts = variants.flatMap((variant, colour) => {
      const own = nodes.filter((node) => node.stage === stage && (node.variant ?? 'shared') === variant);
      const curves = gradientCurves(own, { name: variant, colour });
      return curves.length > 0 ? [gradientChart(stage, variant, curves)] : [];
    });
    return charts.length > 0
      ? [
          html`<h3>${stage}, while it trains</h3>\n<p class="soft">${numbering}</p>\n<div class="charts">${charts}</div>`,
        ]
      : [];
  });
}

function gradientChart(stage: string, variant: string, curves: readonly Curve[]): Markup {
  return lineChart({
    title: `Gradient norm, ${variant}`,
    group: stage,
    note: `from faint to strong: ${curves.map(({ detail }) => detail).join(', ')}`,
    description: `Norm of the gradient of each layer of ${variant}, ${curves.map(({ detail }) => detail).join(', ')}.`,
    xLabel: 'layer',
    curves,
    kind: { label: 'gradient norm' },
  });
}

/** One curve for each step, the later the stronger, the last with dots. */
function gradientCurves(nodes: readonly RecordedNode[], base: Pick<Curve, 'name' | 'colour'>): Curve[] {
  const recorded = nodes
    .flatMap(({ steps }) => steps)
    .map((record) => ({ step: record.step!, norms: recordedDepths(record) }));
  const steps = [...new Set(recorded.filter(({ norms }) => norms.length > 0).map(({ step }) => step))].sort(
    (a, b) => a - b,
  );
  const drawn = evenly(steps, stepsDrawn);
  return drawn.map((step, i): Curve => {
    const own = recorded.filter((record) => record.step === step).map(({ norms }) => norms);
    const points = own[0]!.map((_, depth): Point => [depth, spread(own.map((norms) => norms[depth]!)).mean]);
    const mark = i === drawn.length - 1 ? 'dots' : 'line';
    return { ...base, detail: `step ${step}`, mark, opacity: 0.25 + (0.75 * (i + 1)) / drawn.length, points };
  });
}

/** So many of the items at most, evenly spread, the first and the last among them. */
function evenly<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]!);
}
