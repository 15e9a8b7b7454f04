import { expect, test } from 'vitest';
import { mismatched } from '../../src/training/unpaired.ts';

const answer = (prompt: number[], tokens: number[], behind: number[] = []) => ({
  tokens: Int32Array.of(...prompt, ...tokens, ...behind),
  trained: Uint8Array.of(...prompt.map(() => 0), ...tokens.map(() => 1), ...behind.map(() => 0)),
  boundaryMerges: 0,
  desirable: true,
});

test('each prompt gets the answer before its own, and the first the last one', () => {
  const window = [answer([1, 2], [10, 11]), answer([3], [20], [99]), answer([4, 5, 6], [30, 31, 32])];
  const rows = mismatched(window, 5).map(({ tokens, trained }) => [[...tokens], [...trained]]);
  expect(rows).toEqual([
    [
      [1, 2, 30, 31, 32],
      [0, 0, 1, 1, 1],
    ],
    [
      [3, 10, 11],
      [0, 1, 1],
    ],
    [
      [4, 5, 6, 20, 99],
      [0, 0, 0, 1, 0],
    ],
  ]);
});

test('what is longer than a text may be is cut, with its mask', () => {
  const rows = mismatched([answer([1, 2], [10, 11, 12]), answer([3], [20, 21, 22, 23])], 4);
  expect(rows.map(({ tokens, trained }) => [[...tokens], [...trained]])).toEqual([
    [
      [1, 2, 20, 21],
      [0, 0, 1, 1],
    ],
    [
      [3, 10, 11, 12],
      [0, 1, 1, 1],
    ],
  ]);
});
