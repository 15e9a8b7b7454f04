import { describe, expect, it } from 'vitest';
import { decide, type Rule, type Trial, triedValues } from '../../src/evaluation/sweep-choice.ts';

const lowest: Rule = { metric: 'loss', better: 'lower', edge: 'error' };

/** Trials of rates 1, 2, 4 … with these ends by seed; all begin at 6. */
const trials = (...ends: (number | undefined)[][]): Trial[] =>
  ends.flatMap((bySeed, i) => bySeed.map((end, seed) => ({ values: { lr: 2 ** i }, seed, start: 6, end })));

describe('a sweep', () => {
  it('chooses by the mean over the seeds', () => {
    expect(decide(trials([3, 3], [1, 3.5], [2, 2], [5, 5]), lowest)).toEqual({
      status: 'chosen',
      values: { lr: 4 },
      mean: 2,
    });
    const highest: Rule = { ...lowest, better: 'higher' };
    const gains = trials([7], [9], [8]);
    expect(decide(gains, highest)).toMatchObject({ status: 'chosen', values: { lr: 2 } });
  });

  it('is open until the last trial has ended', () => {
    expect(decide(trials([3], [undefined], [4]), lowest)).toEqual({ status: 'open' });
  });

  it('leaves out values of which a run diverged, or ended no better than it began', () => {
    const all = trials([3, 3], [2, 2], [0.1, Number.NaN], [0.1, 6], [Number.POSITIVE_INFINITY, 1]);
    expect(decide(all, lowest)).toMatchObject({ values: { lr: 2 } });
    expect(triedValues(all, lowest).map(({ failed }) => failed)).toEqual([0, 0, 1, 1, 1]);
    expect(decide(trials([6, 7], [Number.NaN, Number.NaN], [9, 9]), lowest)).toMatchObject({ status: 'failed' });
  });

  it('leaves out a value with a run that stayed on a plateau', () => {
    const all = trials([3, 3], [2, 2], [1, 1], [4, 4]).map((trial, i) =>
      i === 4 ? { ...trial, isUnstable: true } : trial,
    );
    expect(decide(all, lowest)).toMatchObject({ status: 'chosen', values: { lr: 2 } });
  });

  it('counts a value as inside where all that lies beyond it diverged', () => {
    expect(decide(trials([3], [2], [Number.NaN]), lowest)).toMatchObject({ status: 'chosen', values: { lr: 2 } });
  });

  it('refuses a number at the end of what was tried, at either end and in any order, unless that is accepted', () => {
    const falling = trials([3], [2], [1]);
    expect(decide(falling, lowest)).toEqual({
      status: 'failed',
      message: 'the best lr is 4, the largest that was tried (loss 1.000)',
      hint: 'extend the values of lr upwards, or set edge: accept',
    });
    expect(decide(trials([1], [2], [3]).toReversed(), lowest)).toMatchObject({
      hint: 'extend the values of lr downwards, or set edge: accept',
    });
    expect(decide(falling, { ...lowest, edge: 'accept' })).toMatchObject({ status: 'chosen', values: { lr: 4 } });
  });

  it('looks at the edges of each key of a grid, and of numbers alone', () => {
    const grid = [1, 2, 3].flatMap((lr) =>
      ['cosine', 'linear'].map(
        (schedule): Trial => ({
          values: { lr, schedule },
          seed: 1,
          start: 6,
          end: Math.abs(lr - 2) + (schedule === 'linear' ? 1 : 2),
        }),
      ),
    );
    expect(decide(grid, lowest)).toMatchObject({ status: 'chosen', values: { lr: 2, schedule: 'linear' } });
  });
});
