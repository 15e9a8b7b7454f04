import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../src/random.ts';
import { compareStages } from '../../src/report/comparison.ts';
import { summarise } from '../../src/report/summary.ts';
import { folder, node, row } from './made-comparisons.ts';

/** Questions of an exact match, whose share comes in steps. */
const questions = 180;
const variants = ['pre', 'mix'];

/** The summary of a run in which `mix` has these differences from `pre` in exact match, seed by seed. */
function summaryOf(differences: readonly number[], random: RandomStream): string {
  const seeds = differences.map((_, seed) => seed);
  const rows = seeds.flatMap((seed) => {
    const [match, perplexity] = [0.6 + 0.1 * random.normal(), 4 + 0.2 * random.normal()];
    return variants.map((variant) => {
      const share = match + (variant === 'mix' ? differences[seed]! : 0);
      return row('sft', variant, seed, {
        'q/exactMatch': Math.round(share * questions) / questions,
        'text/perplexity': perplexity + 0.1 * random.normal(),
      });
    });
  });
  const nodes = seeds.flatMap((seed) => variants.map((variant) => node('sft', variant, seed)));
  const data = folder(nodes, rows);
  return summarise(compareStages(data), data.nodes, variants).join('\n');
}

const random = new RandomStream(16, 'simulated comparisons');

/** How many of so many comparisons say this, where the difference is `effect` ± `deviation` from seed to seed. */
function count(says: RegExp, { runs, seeds, effect, deviation = 0.05 }: Record<string, number>): number {
  return Array.from({ length: runs! }, () =>
    summaryOf(
      Array.from({ length: seeds! }, () => effect! + deviation! * random.normal()),
      random,
    ),
  ).filter((summary) => says.test(summary)).length;
}

const ahead = /mix is ahead of pre on exact match/;
const behind = /mix is behind pre on exact match/;
const undecided = /no difference between mix and pre is shown on exact match/;

describe('a planted difference', () => {
  test.each([0.05, 0.06])('of %s is found with the seeds that the report names, in 80 of 100 comparisons', (effect) => {
    // Four seeds with just this mean and deviation, which do not show it.
    const lean = 0.05 * Math.sqrt(0.75);
    const pilot = summaryOf([effect + lean, effect + lean, effect - lean, effect - lean], random);
    expect(pilot).toMatch(undecided);
    const [, named] = /exact match \(q\) \([^;]*; to show one of this size takes about (\d+)/.exec(pilot)!;
    expect(count(ahead, { runs: 100, seeds: Number(named), effect })).toBeGreaterThanOrEqual(80);
  });

  test('is never claimed with one seed', () => {
    expect(count(/One seed: no statement/, { runs: 100, seeds: 1, effect: 0.3 })).toBe(100);
    expect(count(/ahead|behind|difference between/, { runs: 100, seeds: 1, effect: 0.3 })).toBe(0);
  });
});

describe('two copies of one variant', () => {
  test.each([2, 3, 6])('give "no difference shown" in 95 of 100 comparisons of %s seeds', (seeds) => {
    // At 5 % there are 475 of 500 on average, and fewer than 460 but once in a thousand times.
    expect(count(undecided, { runs: 500, seeds, effect: 0 })).toBeGreaterThanOrEqual(460);
  });

  test('are ahead about as often as behind', () => {
    for (const says of [ahead, behind]) {
      expect(count(says, { runs: 300, seeds: 4, effect: 0 })).toBeLessThanOrEqual(17);
    }
  });
});
