import { describe, expect, it } from 'vitest';
import { milestones } from '../../src/cli/milestones.ts';

const start = { type: 'start', step: 0, totalSteps: 60, estimatedBytes: 7.34e9 };
const step = (step: number, seconds: number) => ({ type: 'step', step, seconds, totalSteps: 60, loss: 1 });
const held = (step: number, loss: number) => ({ type: 'eval', step, seconds: 9, loss, accuracy: 0.625, endRate: 1 });

describe('what is said of a run', () => {
  it('before it starts: steps and memory; of stages that do not know them nothing', () => {
    expect(milestones().lineOf('sft', start)).toBe('sft: 60 steps, about 7.3 GB of memory');
    expect(milestones().lineOf('sft', { ...start, estimatedBytes: undefined })).toBe('sft: 60 steps');
    expect(milestones().lineOf('tokenizer', { type: 'start', step: 0 })).toBeUndefined();
  });

  it('after two steps: the time of the others, by the second, where that is long', () => {
    const told = milestones();
    expect([told.lineOf('a', step(1, 50)), told.lineOf('a', step(2, 58)), told.lineOf('a', step(3, 66))]).toEqual([
      undefined,
      'a: about 7 m 44 s from here',
      undefined,
    ]);
    expect(told.secondsLeft('a', step(3, 66))).toBeCloseTo(57 * 8);
    const short = milestones();
    expect([short.lineOf('a', step(1, 0.1)), short.lineOf('a', step(2, 0.2))]).toEqual([undefined, undefined]);
  });

  it('each evaluation once, with what was at first; only what has a direction', () => {
    const told = milestones();
    expect(told.lineOf('a', held(0, 1.606))).toBe('a: held out before the first step: loss 1.606, accuracy 62.5 %');
    expect(told.lineOf('b', held(0, 3))).toContain('loss 3.000,');
    const later = 'a: held out after step 5: loss 1.475 (1.606 at first), accuracy 62.5 % (62.5 % at first)';
    expect(told.lineOf('a', held(5, 1.4751))).toBe(later);
    expect(told.lineOf('a', held(5, 1.4751))).toBeUndefined();
  });
});
