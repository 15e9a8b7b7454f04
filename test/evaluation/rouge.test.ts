import { expect, test } from 'vitest';
import { rouge } from '../../src/evaluation/rouge.ts';

// F1 of rouge_score 0.1.2: RougeScorer(['rouge1', 'rouge2', 'rougeL']).score(reference, text)
test.each([
  ['the cat sat on the mat', 'the cat was on the mat', [0.833333, 0.6, 0.833333]],
  ['police killed the gunman', 'the gunman police killed!', [1, 0.666667, 0.5]],
  ['A b-c, D_e 12', 'a c d e 13', [0.727273, 0.444444, 0.727273]],
  ['x', 'x', [1, 0, 1]],
  ['', '', [0, 0, 0]],
  ['Größe über 3', 'grosse uber 3', [0.285714, 0, 0.285714]],
  ['the the the cat', 'the cat the', [0.857143, 0.4, 0.571429]],
])('ROUGE of %j and %j', (reference, text, expected) => {
  const { rouge1, rouge2, rougeL } = rouge(reference, text);
  for (const [i, found] of [rouge1, rouge2, rougeL].entries()) expect(found).toBeCloseTo(expected[i]!, 6);
});
