import { expect, it } from 'vitest';
import { depthSections, gradientSections } from '../../src/report/depth-charts.ts';
import { type Fragment, html } from '../../src/report/html.ts';
import type { RecordedNode } from '../../src/runs/pipeline-folder.ts';
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
    pruning: {
      byAngle: { first: [0, 1, 0], loss: [1, 2, losses[0]!] },
      byLoss: { order: [1, 0], loss: [1, 3, losses[0]!] },
    },
  },
});

const rows = [
  row('pre', 1, [4, 5], [0.5, 0.25]),
  row('pre', 2, [4.5, 7], [1, 0.75]),
  row('mix', 1, [4.25, 6.5], [0.625, 0.875]),
];

/** Of each chart its caption, and by curve the values that its tooltip shows. */
function chartsIn(sections: readonly Fragment[]): { caption: string; text: string }[] {
  const page = String(html`${sections}`);
  return [...page.matchAll(/<figure[\s\S]*?<figcaption>(.*?)<\/figcaption>([\s\S]*?)<\/figure>/g)].map(
    ([, caption, text]) => ({ caption: caption!, text: text! }),
  );
}

const chartsOf = (results: readonly ResultRow[]) => chartsIn(depthSections(results, ['pre', 'mix']));

it('draws a chart of each analysis that can be read, layer by layer, with the mean over the seeds', () => {
  const charts = chartsOf(rows);
  expect(charts.map(({ caption }) => caption.replace(/ <small.*/, ''))).toEqual([
    ...['Removal loss', 'Gradient norm', 'Loss without a block', 'Loss without single layers'],
  ]);
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
    ...['2', '3'].map((second) => [
      ['layers taken out 0', ['1', '1']],
      ['layers taken out 1', [second, second]],
      ['layers taken out 2', ['4.25', '4.25']],
    ]),
  ]);
});

it('draws nothing where nothing was analysed', () => {
  expect(chartsOf(rows.map(({ analysis: _, ...other }) => other))).toEqual([]);
});

it('draws what training recorded of gradients: a chart for each variant, a curve for each step, means over seeds', () => {
  const step = (step: number, norms: number[]) => ({
    ...{ step, 'gradientNorm/embedding': 8, 'gradientNorm/finalNorm': 9 },
    ...Object.fromEntries(norms.map((norm, layer) => [`gradientNorm/layers.${layer}`, norm])),
  });
  const node = (variant: string, steps: object[]) => ({ stage: 'pretrain', variant, steps }) as RecordedNode;
  const nodes = [
    node('pre', [step(1, [1, 2]), { step: 2 }, step(3, [3, 4])]),
    node('pre', [step(1, [2, 4]), { step: 2 }, step(3, [5, 6])]),
    node('mix', [{ step: 1 }]),
  ];
  const [chart, ...others] = chartsIn(gradientSections(nodes, ['pre', 'mix']));
  expect(others).toEqual([]);
  expect(chart!.caption).toMatch(/^Gradient norm, pre/);
  const { curves, stops } = JSON.parse(/json">(.*?)<\/script>/s.exec(chart!.text)![1]!);
  expect(curves).toEqual([
    ['pre, step 1', 0],
    ['pre, step 3', 0],
  ]);
  expect(stops.map(([, , values]: unknown[]) => values)).toEqual([
    ['8', '8'],
    ['1.50', '4'],
    ['3', '5'],
  ]);
});
