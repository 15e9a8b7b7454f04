import { expect, it } from 'vitest';
import { depthSections } from '../../src/report/depth-charts.ts';
import { html } from '../../src/report/html.ts';
import type { ResultRow } from '../../src/runs/results.ts';

const layer = (all: number) => ({ all, matrices: all });
const row = (variant: string, seed: number, losses: number[], norms: number[]): ResultRow => ({
  stage: 'depth',
  variant,
  seed,
  metrics: {},
  samples: [],
  analysis: {
    removal: { loss: losses },
    gradients: { all: 1, layers: norms.map(layer), embedding: 0.125, finalNorm: 0.5 },
    // As an older or newer version may have it.
    angular: { all: 'unknown' },
    entropy: [1, 2],
  },
});

const rows = [
  row('pre', 1, [4, 5], [0.5, 0.25]),
  row('pre', 2, [4.5, 7], [1, 0.75]),
  row('mix', 1, [4.25, 6.5], [0.625, 0.875]),
];

/** Of each chart its caption, and by curve the values that its tooltip shows. */
function chartsOf(results: readonly ResultRow[]): { caption: string; text: string }[] {
  const page = String(html`${depthSections(results, ['pre', 'mix'])}`);
  return [...page.matchAll(/<figure[\s\S]*?<figcaption>(.*?)<\/figcaption>([\s\S]*?)<\/figure>/g)].map(
    ([, caption, text]) => ({ caption: caption!, text: text! }),
  );
}

it('draws a chart of each analysis that can be read, layer by layer, with the mean over the seeds', () => {
  const charts = chartsOf(rows);
  expect(charts.map(({ caption }) => caption.replace(/ <small.*/, ''))).toEqual(['Removal loss', 'Gradient norm']);
  const values = charts.map(({ text }) => JSON.parse(/json">(.*?)<\/script>/s.exec(text)![1]!).stops);
  const shown = values.map((stops) => stops.map(([, layer, found]: unknown[]) => [layer, found]));
  expect(shown).toEqual([
    [
      ['layer 1', ['4.25', '4.25']],
      ['layer 2', ['6', '6.50']],
    ],
    [
      ['layer 0', ['0.125', '0.125']],
      ['layer 1', ['0.750', '0.625']],
      ['layer 2', ['0.500', '0.875']],
    ],
  ]);
});

it('draws nothing where nothing was analysed', () => {
  expect(chartsOf(rows.map(({ analysis: _, ...other }) => other))).toEqual([]);
});
