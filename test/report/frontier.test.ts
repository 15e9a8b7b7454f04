import { expect, it } from 'vitest';
import { frontierChart } from '../../src/report/frontier.ts';
import { node } from './made-comparisons.ts';

it('joins means over runs of iterations and over seeds, in their order', () => {
  const steps = (offset: number) =>
    Array.from({ length: 24 }, (_, i) => ({ step: i + 1, kl: i, reward: i / 10 + offset }));
  const nodes = [node('ppo', 'mix', 1, { steps: steps(0) }), node('ppo', 'mix', 2, { steps: steps(0.2) })];
  const [drawing] = frontierChart('ppo', nodes, ['mix'])!.drawings;
  const rows = drawing!.csv.trim().split('\n');
  expect(rows).toHaveLength(13);
  expect([rows[0], rows[1], rows[12]]).toEqual(['KL to the reference,mix', '0.5,0.15', '22.5,2.35']);
});

it('is not drawn for a stage that records no KL', () => {
  const nodes = [node('sft', 'mix', 1, { steps: [{ step: 1, loss: 2 }] })];
  expect(frontierChart('sft', nodes, ['mix'])).toBeUndefined();
});
