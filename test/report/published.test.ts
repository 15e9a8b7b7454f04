import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import type { StageComparison } from '../../src/report/comparison.ts';
import { html } from '../../src/report/html.ts';
import { publishedTables } from '../../src/report/published.ts';

const comparisons: StageComparison[] = [
  {
    stage: 'pretrain',
    run: 'pretrain',
    isShared: false,
    rows: [
      {
        key: 'c4/perplexity',
        judgedApart: false,
        cells: new Map([['pre', { bySeed: new Map([[1, 35]]), mean: 35.1 }]]),
        differences: new Map(),
      },
    ],
  },
];
const entry = {
  source: 'a paper, Table 1',
  stage: 'pretrain',
  metric: 'perplexity',
  note: 'on other text',
  values: { pre: 34.77, mix: 33.12 },
};

describe('what others have published', () => {
  it('stands beside what was measured here, and says what was not', () => {
    const text = html`${publishedTables([entry], comparisons, ['pre', 'mix', 'lns'])}`.text;
    const rows = [...text.matchAll(/<tr><th scope="row".*?<\/tr>/gs)].map(([row]) => row.replace(/<[^>]*>/g, ' '));
    expect(rows.map((row) => row.trim().split(/\s{2,}/))).toEqual([
      ['pre', '34.77', '35.10'],
      ['mix', '33.12', 'not run'],
      ['lns', '–', 'not run'],
    ]);
    expect(text).toContain('Perplexity after pretrain, as in a paper, Table 1 and here <small>on other text</small>');
    expect(publishedTables([], comparisons, ['pre'])).toBe(false);
  });

  it('is left out where --set has changed the setting, and not where it gives data or seeds', async () => {
    const file = fileURLToPath(new URL('../../pipelines/paper/71m.yaml', import.meta.url));
    const data = ['text=a', 'instructions=b', 'preferences=c', 'questions=d'];
    const published = async (...set: string[]) =>
      parsePipeline(await readFile(file, 'utf8'), file, [...data, ...set]).published;
    expect(await published('seeds=[1,2,3]')).toMatchObject([{ values: { pre: 34.77, mix: 33.12 } }]);
    expect(await published('stages.pretrain.lr=2e-3')).toEqual([]);
    expect(await published('variants.mix.pretrain.postLayers=4')).toEqual([]);
  });
});
