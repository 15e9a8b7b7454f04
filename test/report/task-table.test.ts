import { expect, it } from 'vitest';
import { compareStages } from '../../src/report/comparison.ts';
import { html } from '../../src/report/html.ts';
import { taskTable } from '../../src/report/task-table.ts';
import { folder, node, row } from './made-comparisons.ts';

const variants = ['pre', 'mix', 'post'];

function cellsOf(metrics: (place: number) => Record<string, number>): string[][] {
  const nodes = variants.map((variant) => node('sft', variant, 1));
  const results = variants.map((variant, place) => row('sft', variant, 1, metrics(place)));
  const { text } = html`${taskTable(compareStages(folder(nodes, results)), variants)}`;
  return [...text.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, cells]) =>
    [...cells!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) => cell!.replace(/<[^>]*>/g, ' ').trim()),
  );
}

it('has a row for each variant and a column for each task, by its first score, and their mean', () => {
  const rows = cellsOf((place) => ({
    'boolq/accuracy': 0.5 + 0.1 * place,
    'boolq/accuracyBySum': 0.9,
    'boolq/chance': 0.5,
    'piqa/accuracy': 0.7,
    'c4/perplexity': 20,
  }));
  expect(rows.slice(1).map((cells) => cells.filter(Boolean))).toEqual([
    ['pre', '50.0', '70.0', '60.0'],
    ['mix', '60.0', '70.0', '65.0'],
    ['post', '70.0', '70.0', '70.0'],
  ]);
  expect(rows[0]!.map((cell) => cell.split(' ')[0])).toEqual(['Variant', 'boolq', 'piqa', 'mean']);
});

it('has no mean where a task is missing, and is not there for a single task', () => {
  const rows = cellsOf(
    (place): Record<string, number> =>
      place === 1 ? { 'boolq/accuracy': 0.5 } : { 'boolq/accuracy': 0.5, 'piqa/accuracy': 0.7 },
  );
  expect(rows[2]).toEqual(['mix', '50.0', '–', '–']);
  expect(cellsOf(() => ({ 'boolq/accuracy': 0.5 }))).toEqual([]);
});
