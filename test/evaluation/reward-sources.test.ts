import { describe, expect, test } from 'vitest';
import type { PromptRow } from '../../src/data/rows.ts';
import {
  answerProblems,
  type Completion,
  functionReward,
  rewardsOf,
  type Verification,
  verifiedReward,
} from '../../src/evaluation/reward-sources.ts';

const asked = (answer?: string): PromptRow => ({
  prompt: [{ role: 'user', content: 'How many?' }],
  ...(answer === undefined ? {} : { answer }),
});

const completion = (text: string, answer?: string): Completion => ({
  row: 3,
  prompt: asked(answer),
  text,
  tokens: Int32Array.of(1),
});

describe('verified answers', () => {
  test.each<[Verification, string, string, number]>([
    ['exact', ' Twelve. ', 'twelve', 1],
    ['exact', 'Twelve or so', 'twelve', 0],
    ['number', 'First 3, then 1,200 coins.', 'That is 1200', 1],
    ['number', 'It is -4.50', '#### -4.5', 1],
    ['number', 'It is 4', '-4', 0],
    ['number', 'None at all', '0', 0],
    ['regex', 'The sum is 12', '\\b1[0-9]$', 1],
    ['regex', 'The sum is 2', '\\b1[0-9]$', 0],
  ])('%s: %j for the answer %j gives %d', async (kind, text, answer, reward) => {
    expect(await verifiedReward(kind, 1).rewardsOf([completion(text, answer)])).toEqual([reward]);
  });

  test('that cannot be verified are told by row, and how many there are', () => {
    const rows = [asked('1'), asked(), asked('('), asked('2'), ...Array.from({ length: 9 }, () => asked())];
    expect(() => checkAnswers(rows, 'exact', 'mine')).toThrow(/row 2: has no answer[\s\S]+and 5 more rows/);
    expect(() => checkAnswers(rows.slice(2, 4), 'regex', 'mine')).toThrow(/row 1: Invalid regular expression/);
    expect(() => checkAnswers(rows.slice(2, 4), 'number', 'mine')).toThrow(/row 1: no number in the answer/);
    expect(() => checkAnswers([asked('1'), asked('2')], 'number', 'mine')).not.toThrow();
  });
});

test('several sources are summed by weight, and told apart', async () => {
  const length = functionReward(async (_, text) => text.length, 0.5);
  const { total, bySource } = await rewardsOf([verifiedReward('exact', 2), length], [completion('yes', 'yes')]);
  expect(total).toEqual([2 * 1 + 0.5 * 3]);
  expect(Object.fromEntries(bySource)).toEqual({ verifiedReward: [1], functionReward: [3] });
});
