import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { totalStepsOf, warmupStepsOf } from '../../src/training/options.ts';
import { type Schedule, scheduleFactor, scheduleNames } from '../../src/training/schedule.ts';

interface Run extends Pick<Schedule, 'schedule' | 'minLr' | 'warmupSteps'> {
  steps: number;
  warmup: number;
  rates: number[];
}

const runs: Run[] = JSON.parse(readFileSync(new URL('../golden/fixtures/schedules.json', import.meta.url), 'utf8'));

describe('learning rates', () => {
  test.each(runs)('$schedule to $minLr, $steps steps, warm-up $warmup: of transformers from the peak on', (run) => {
    const { steps, warmup, warmupSteps, rates } = run;
    expect(warmupStepsOf({ warmup }, steps)).toBe(warmupSteps);
    const ours = rates.map((_, i) => scheduleFactor({ ...run, totalSteps: steps }, i + 1));
    for (const [i, rate] of rates.entries()) {
      // The first update of transformers' warm-up has rate 0, and so changes nothing; ours is a step ahead.
      expect(ours[i]).toBeCloseTo(i < warmupSteps ? (i + 1) / (warmupSteps + 1) : rate, 12);
    }
  });

  test('no update of any schedule has rate 0 or is above the peak', () => {
    for (const schedule of scheduleNames) {
      for (const totalSteps of [1, 2, 3, 7]) {
        for (const warmup of [0, 0.01, 0.5, 0.99, 1, 2.5, 100]) {
          const warmupSteps = warmupStepsOf({ warmup }, totalSteps);
          for (let step = 1; step <= totalSteps; step++) {
            const factor = scheduleFactor({ schedule, warmupSteps, totalSteps, minLr: 0 }, step);
            expect(factor, `${schedule} ${step} of ${totalSteps}, warm-up ${warmup}`).toBeGreaterThan(0);
            expect(factor).toBeLessThanOrEqual(1);
          }
        }
      }
    }
  });

  test('a warm-up of steps is cut to whole ones, as in transformers', () => {
    expect(warmupStepsOf({ warmup: 2.5 }, 10)).toBe(2);
    expect(warmupStepsOf({ warmup: 0.11 }, 10)).toBe(2);
  });
});

describe('steps', () => {
  const epochs = { batchSize: 4, accumulate: 2 };

  test.each([
    { epochs: 1, items: 16, steps: 2 },
    { epochs: 1, items: 17, steps: 3 },
    { epochs: 0.5, items: 17, steps: 2 },
    { epochs: 0.4, items: 17, steps: 2 },
    { epochs: 2.5, items: 8, steps: 3 },
    { epochs: 0.01, items: 8, steps: 1 },
  ])('$epochs epochs of $items rows are $steps', ({ items, steps, ...options }) => {
    expect(totalStepsOf({ ...epochs, ...options, steps: undefined }, items)).toBe(steps);
  });

  test('given by number go before epochs', () => {
    expect(totalStepsOf({ ...epochs, epochs: 9, steps: 5 }, 100)).toBe(5);
  });
});
