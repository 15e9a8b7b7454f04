import { describe, expect, test } from 'vitest';
import { equalGroups, minibatchesOf, responseKls, withGroupAdvantages } from '../../src/training/experience.ts';

const items = Array.from({ length: 10 }, (_, i) => i);
const options = { passes: 2, minibatches: 3, seed: 1, name: 'ppo/1' };
const passOf = (cut: number[][], pass: number) => cut.slice(3 * pass, 3 * pass + 3).flat();

describe('minibatches', () => {
  const cut = [...minibatchesOf(items, options)];

  test('of each pass hold each example once, in parts that differ by one at most', () => {
    expect(cut.map(({ length }) => length)).toEqual([3, 3, 4, 3, 3, 4]);
    for (const pass of [0, 1]) expect(passOf(cut, pass).sort((a, b) => a - b)).toEqual(items);
  });

  test('are in another order in each pass, for each seed and each name', () => {
    const orders = [
      passOf(cut, 0),
      passOf(cut, 1),
      passOf([...minibatchesOf(items, { ...options, seed: 2 })], 0),
      passOf([...minibatchesOf(items, { ...options, name: 'ppo/2' })], 0),
    ].map((order) => order.join());
    expect(new Set(orders).size).toBe(4);
    expect([...minibatchesOf(items, options)]).toEqual(cut);
  });

  test('that are done are left out', () => {
    for (const done of [1, 4, 6]) expect([...minibatchesOf(items, options, done)]).toEqual(cut.slice(done));
  });
});

const response = (length: number) => ({
  row: 0,
  prompt: Int32Array.of(1),
  response: new Int32Array(length),
  ended: true,
  sampledLogProbs: new Float64Array(length),
  logProbs: new Float64Array(length).fill(-1),
  reference: new Float64Array(length).fill(-1.5),
  score: length,
});

describe('groups', () => {
  const experience = [2, 3, 4, 4].map(response);

  test('give every token of a response the advantage within its own group', () => {
    const advantagesOf = (rewards: readonly number[]) => Float64Array.from(rewards, (r) => r - rewards[0]!);
    const examples = withGroupAdvantages(experience, [1, 5, 20, 22], 2, advantagesOf);
    expect(examples.map(({ advantages }) => [...advantages])).toEqual([
      [0, 0],
      [4, 4, 4],
      [0, 0, 0, 0],
      [2, 2, 2, 2],
    ]);
  });

  test('whose responses all have the same score are counted', () => {
    expect(equalGroups(experience, 2)).toBe(0.5);
    expect(equalGroups(experience, 4)).toBe(0);
  });

  test('the KL of a response is the sum over its tokens', () => {
    expect(responseKls(experience)).toEqual([1, 1.5, 2, 2]);
  });
});
