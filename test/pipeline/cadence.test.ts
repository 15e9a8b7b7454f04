import { expect, it } from 'vitest';
import { withEvaluation } from '../../src/pipeline/cadence.ts';
import { noProgress } from '../../src/runs/progress.ts';

function after(metric: string, values: readonly number[]) {
  let progress = noProgress;
  for (const [i, value] of values.entries()) progress = withEvaluation({ ...progress, step: i + 1 }, metric, value);
  return progress;
}

it.each([
  ['loss', [3, 2, 4], { value: 2, step: 2 }, 1],
  ['accuracy', [0.3, 0.2, 0.4], { value: 0.4, step: 3 }, 0],
  ['calibrationError', [0.3, 0.2, 0.4], { value: 0.2, step: 2 }, 1],
  ['loss', [Number.NaN, 3, Number.NaN, Number.NEGATIVE_INFINITY], { value: 3, step: 2 }, 2],
  ['accuracy', [0.5, 0.5], { value: 0.5, step: 1 }, 1],
] as const)('the best %s of %o is found, and how long ago it was', (metric, values, best, since) => {
  expect(after(metric, values)).toMatchObject({ best, evaluationsSinceBest: since });
});

it('what was never a number was never the best', () => {
  expect(after('loss', [Number.NaN, Number.NaN]).best).toBe(undefined);
});
