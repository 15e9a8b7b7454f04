import { profilesOf } from '../analysis/index.ts';
import type { ResultRow } from '../runs/results.ts';
import { spread } from './comparison.ts';
import { type Fragment, html, type Markup } from './html.ts';
import { type Curve, lineChart, type Point } from './line-chart.ts';

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
}

function depthCharts(rows: readonly ResultRow[], variants: readonly string[]): Markup[] {
  const profiles = rows.flatMap(({ variant, analysis = {} }) =>
    profilesOf(analysis).map((profile): Profile => ({ ...profile, variant })),
  );
  return [...new Set(profiles.map(({ label }) => label))].map((label) => {
    const own = profiles.filter((profile) => profile.label === label);
    const title = label[0]!.toUpperCase() + label.slice(1);
    return lineChart({
      title,
      note: own[0]!.meaning,
      description: `${title} of each layer, ${variants.join(' and ')}: ${own[0]!.meaning}.`,
      xLabel: 'layer',
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
