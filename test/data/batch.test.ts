import { expect, it } from 'vitest';
import { groupsOfTokens, packSequences } from '../../src/data/batch.ts';

it('packs sequences without padding: each token predicts the next of its own sequence', () => {
  const batch = packSequences([
    { tokens: Int32Array.of(5, 6, 7), trained: Uint8Array.of(0, 0, 1) },
    { tokens: Int32Array.of(8, 9), trained: Uint8Array.of(0, 1) },
  ]);
  expect({ ...batch }).toEqual({
    tokens: Int32Array.of(5, 6, 8),
    positions: Int32Array.of(0, 1, 0),
    segments: Int32Array.of(0, 2, 3),
    targets: Int32Array.of(-1, 7, 9),
    trainedTokens: 2,
  });
});

it('never trains the first token, which nothing predicts', () => {
  const batch = packSequences([{ tokens: Int32Array.of(1, 2), trained: Uint8Array.of(1, 0) }]);
  expect(batch.trainedTokens).toBe(0);
  expect([...batch.targets]).toEqual([-1]);
});

it('groups consecutive rows up to a number of tokens, and a longer row is alone', () => {
  const groups = [...groupsOfTokens([3, 2, 1, 4, 9, 1], 5, (length) => length)];
  expect(groups).toEqual([[3, 2], [1, 4], [9], [1]]);
  expect([...groupsOfTokens([], 5, (length: number) => length)]).toEqual([]);
});
