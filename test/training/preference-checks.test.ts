import { describe, expect, test } from 'vitest';
import { untouchedLoss } from '../../src/losses/preference.ts';
import type { JudgedAnswer, PreferenceReport } from '../../src/training/preference.ts';
import { assertUntouchedPolicy, newWatch, watchStep } from '../../src/training/preference-checks.ts';

const answer = (desirable: boolean, logProb: number, reference = logProb, tokens = 4): JudgedAnswer => ({
  desirable,
  logProb,
  reference,
  tokens,
});

const report = (answers: JudgedAnswer[], metrics: PreferenceReport['metrics'] = {}, loss = 0): PreferenceReport => ({
  loss,
  metrics,
  answers,
  tokens: 0,
});

describe('before the first update', () => {
  const same = [answer(true, -3), answer(false, -5)];
  const dpo = { expected: untouchedLoss({ loss: 'dpo', beta: 0.1 })!, nllWeight: 0 };

  test('the loss is ln 2 apart from the cross-entropy', () => {
    expect(() => assertUntouchedPolicy(report(same, {}, Math.LN2), dpo, 'f32')).not.toThrow();
    const withNll = report(same, { nll: 0.75 }, Math.LN2 + 0.2 * 0.75);
    expect(() => assertUntouchedPolicy(withNll, { ...dpo, nllWeight: 0.2 }, 'f32')).not.toThrow();
  });

  test.each([1, 25, 0.7, Number.NaN])('a loss of %s is an error', (loss) => {
    expect(() => assertUntouchedPolicy(report(same, {}, loss), dpo, 'f32')).toThrow(/the loss must be 0\.6931/);
  });

  test('one answer with another log-probability is an error, even if the mean hides it', () => {
    const cancelling = [answer(true, -3, -3.01), answer(false, -5), answer(true, -3, -2.99), answer(false, -5)];
    expect(() => assertUntouchedPolicy(report(cancelling, {}, Math.LN2), dpo, 'f32')).toThrow(
      /differ by 0\.00250 per token/,
    );
    const notFinite = [answer(true, -3, Number.NaN), answer(false, -5)];
    expect(() => assertUntouchedPolicy(report(notFinite, {}, Math.LN2), dpo, 'f32')).toThrow(/differ by NaN/);
  });
});

describe('over the steps', () => {
  /** What is said in each of the steps in which chosen answers have moved by so many nats a token; 4 tokens each. */
  const said = (moves: readonly number[], options: Parameters<typeof watchStep>[2]) => {
    const watch = newWatch();
    return moves.map((move) => {
      const answers = [answer(true, -4 + 4 * move, -4), answer(false, -5, -5.1)];
      return watchStep(watch, report(Number.isNaN(move) ? answers.slice(1) : answers), options);
    });
  };
  const counts = (steps: readonly string[][]) => steps.map((sentences) => sentences.length);

  test('chosen answers less likely than under the reference for `sinkingSteps` steps in a row are told once', () => {
    const steps = said([-1, -0.1, 0.5, -0.06, -0.2, -0.3, -1], { loss: 'dpo', sinkingSteps: 3 });
    expect(counts(steps)).toEqual([0, 0, 0, 0, 0, 1, 0]);
    expect(steps[5]![0]).toMatch(/for 3 steps chosen answers have been less likely than under the reference, by 0\.30/);
    expect(said([-1, -1, -1, -1], { loss: 'dpo', sinkingSteps: 0 }).flat()).toEqual([]);
  });

  test('a fall that nobody would notice is not told', () => {
    expect(said([-0.04, -0.04, -0.04, -0.04], { loss: 'dpo', sinkingSteps: 2 }).flat()).toEqual([]);
  });

  test('without a reference the first steps are what later ones are compared with', () => {
    const steps = said([-2, -4, -3.5, -2.9, -3.1, -3.2], { loss: 'simpo', sinkingSteps: 2 });
    expect(counts(steps)).toEqual([0, 0, 0, 0, 0, 1]);
    expect(steps[5]![0]).toMatch(/less likely than in the first steps/);
  });

  test('a step of KTO without wanted answers says nothing about them', () => {
    expect(counts(said([-1, Number.NaN, -1], { loss: 'kto', sinkingSteps: 2 }))).toEqual([0, 0, 1]);
  });

  test('most rejected answers likelier than chosen ones are told, half of them are not', () => {
    const told = (rejected: number) => {
      const watch = newWatch();
      return Array.from({ length: 64 }, (_, i) => {
        const pair = [answer(true, -4, -4.1), answer(false, i < rejected ? -3 : -5, 0)];
        return watchStep(watch, report(pair), { loss: 'dpo', sinkingSteps: 0 });
      }).flat();
    };
    expect(told(32)).toEqual([]);
    expect(told(60)).toEqual([expect.stringMatching(/more likely \(per token\) in 60 of the first 64 pairs/)]);
  });

  test('longer answers are not unlikelier for their length', () => {
    const watch = newWatch();
    const pairs = Array.from({ length: 64 }, () => [answer(true, -8, 0, 16), answer(false, -4, 0, 2)]).flat();
    expect(watchStep(watch, report(pairs), { loss: 'dpo', sinkingSteps: 0 })).toEqual([]);
  });
});
