import { describe, expect, test } from 'vitest';
import { bradleyTerryLoss, type ScoredPair } from '../../src/losses/bradley-terry.ts';
import { expectClose, expectGradients, tensor, valuesOf } from './gradients.ts';

const pair = (better: number, worse: number, margin = 0): ScoredPair => ({ better, worse, margin, weight: 1 });
/** Scores `start`, `start` + 1 and `start` + 2 are of answers ranked from the best. */
const threeRanked = (start = 0): ScoredPair[] =>
  [pair(start, start + 1), pair(start, start + 2), pair(start + 1, start + 2)].map((one) => ({
    ...one,
    weight: 1 / 3,
  }));
const lossOf = async (scores: number[], pairs: ScoredPair[], centring?: number): Promise<number> =>
  (await valuesOf(() => bradleyTerryLoss(tensor(scores), pairs, centring)))[0]!;

describe('Bradley–Terry', () => {
  test.each([
    [0, Math.LN2],
    [1, 0.31326168751822286],
    [2, 0.1269280110429725],
    [-1, 1.3132616875182228],
    [10, 4.539889921686465e-5],
    [-10, 10.000045398899218],
  ])('a difference of %d costs %d', async (difference, loss) => {
    expect(await lossOf([0.25 + difference, 0.25], [pair(0, 1)])).toBeCloseTo(loss, 12);
  });

  test('a constant added to all scores changes nothing without centring', async () => {
    const pairs = threeRanked(1);
    const scores = [0.3, -0.2, 1.4, 0.1];
    const shifted = scores.map((score) => score + 7);
    expect(await lossOf(shifted, pairs)).toBeCloseTo(await lossOf(scores, pairs), 12);
  });

  test('a margin is what the better one has to be ahead', async () => {
    expect(await lossOf([3, 1], [pair(0, 1, 1)])).toBeCloseTo(0.31326168751822286, 12);
  });

  test('centring adds c · (sum of the scores)²', async () => {
    expect(await lossOf([3, 2], [pair(0, 1)], 0.01)).toBeCloseTo(0.31326168751822286 + 0.25, 12);
  });

  test('k ranked responses are all of their pairs, each prompt counting once', async () => {
    // Scores 2, 1, 0: differences 1, 2, 1.
    const loss = (2 * 0.31326168751822286 + 0.1269280110429725) / 3;
    expect(await lossOf([2, 1, 0], threeRanked())).toBeCloseTo(loss, 12);
    expect(await lossOf([9, 9, 2, 1, 0], threeRanked(2))).toBeCloseTo(loss, 12);
  });

  test('the gradient is that of central differences, at equal scores too', async () => {
    const pairs = [...threeRanked(), pair(3, 2, 0.5)];
    await expectGradients([[0.4, -1.2, 2.1, 0.7]], (scores) => bradleyTerryLoss(scores, pairs, 0.01));
    const [gradient] = await expectGradients([[1, 1]], (scores) => bradleyTerryLoss(scores, [pair(0, 1)]));
    expectClose(gradient!, [-0.5, 0.5], 1e-12);
  });
});
