import { expect, test } from 'vitest';
import { constantAnswers } from '../../src/evaluation/constant-answers.ts';

const times = (count: number, value: number): number[] => new Array<number>(count).fill(value);

test('nearly all answers being the same choice is told, with what that choice is worth', () => {
  const answers = [...times(62, 1), ...times(38, 0)];
  expect(constantAnswers([...times(96, 1), ...times(4, 0)], answers)).toBe(
    '96 % of the answers are choice 2, which is right in 62 % of the questions: the accuracy is that of a constant answer',
  );
});

test.each([
  ['answers that differ', [...times(94, 1), ...times(6, 0)], [...times(50, 1), ...times(50, 0)]],
  ['questions whose answers are all the same', times(100, 0), times(100, 0)],
  ['few questions', times(19, 0), [...times(10, 1), ...times(9, 0)]],
])('%s are not', (_, chosen, answers) => {
  expect(constantAnswers(chosen, answers)).toBeUndefined();
});
