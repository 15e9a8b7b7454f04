import { describe, expect, it, test } from 'vitest';
import { RandomStream } from '../../src/random.ts';
import {
  describeInstability,
  instabilities,
  type LossCurve,
  slowness,
  unigramEntropy,
} from '../../src/training/stability.ts';

const curveOf = (length: number, lossAt: (step: number) => number): LossCurve =>
  Array.from({ length }, (_, i) => ({ step: i + 1, loss: lossAt(i + 1) }));

/** A power law with the noise of batches. */
const noise = new RandomStream(1, 'losses');
const learning = (step: number, rate = 1): number => 2 + 4.2 * (1 + (rate * step) / 20) ** -0.5 + 0.03 * noise.normal();

/** Evaluation losses of a Mix-LN author's own runs at 350M parameters (Oct 2024), 6,000 of 60,000 steps of warm-up. */
const evaluated = [1, 2, 4, 6, 7, 8, 10, 20, 29].map((thousands) => 1000 * thousands);
const published = (losses: number[]): LossCurve => losses.map((loss, i) => ({ step: evaluated[i]!, loss }));
const pre = published([5.189, 4.215, 3.677, 3.514, 3.446, 3.397, 3.331, 3.167, 3.083]);
const mix = published([5.268, 4.208, 3.685, 3.541, 3.479, 7.308, 7.275, 7.267, 7.266]);
const inPublished = { entropy: 7.25, totalSteps: 60_000 };

describe("an author's runs at 350M", () => {
  it('finds that Mix-LN diverges after the warm-up and stays on the unigram plateau', () => {
    const found = instabilities(mix, inPublished);
    expect(found).toEqual([
      { kind: 'plateau', since: 8000, entropy: 7.25 },
      { kind: 'divergence', since: 8000, from: expect.closeTo(3.685), to: 7.267 },
    ]);
    expect(found.map(describeInstability)).toEqual([
      'the loss sits on the unigram entropy, 7.25 nats, since step 8,000: the model has learned how frequent each token is, and no more',
      'the loss rose from 3.69 to 7.27 at step 8,000 and did not come back',
    ]);
  });

  it('finds nothing wrong with Pre-LN, nor with Mix-LN before', () => {
    expect(instabilities(pre, inPublished)).toEqual([]);
    expect(instabilities(mix.slice(0, 5), inPublished)).toEqual([]);
    expect(slowness(mix.slice(0, 5), pre)).toBeUndefined();
  });
});

describe('plateau', () => {
  const entropy = 4.9;
  const stuck = (step: number) => Math.max(learning(step), entropy + 0.04 * noise.normal());

  it('is where the loss stays on the unigram entropy', () => {
    const [found, ...others] = instabilities(curveOf(1000, stuck), { entropy });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ kind: 'plateau', entropy });
    expect(found!.since).toBeLessThan(60);
  });

  it('is not where a model rests on its way, as one of 24 layers did for an eighth of 300 steps', () => {
    const resting = (step: number) =>
      step < 38 ? 6.2 - 0.025 * step : Math.max(4.1, 5.27 - 0.01 * Math.max(0, step - 76));
    const curve = curveOf(300, (step) => resting(step) + 0.03 * noise.normal());
    for (const seen of [76, 80, 90, 300])
      expect(instabilities(curve.slice(0, seen), { entropy: 5.27, totalSteps: 300 })).toEqual([]);
  });

  it.each([
    ['a loss that passes it', curveOf(1000, learning)],
    ['a loss that has just come to it', curveOf(1000, stuck).slice(0, 80)],
    ['a loss that stays above it', curveOf(1000, (step) => stuck(step) + 0.2)],
    ['a loss that stays below it', curveOf(1000, (step) => stuck(step) - 0.2)],
    ['a loss that left it', curveOf(1000, (step) => (step < 800 ? stuck(step) : 4))],
  ])('is not %s', (_, curve) => {
    const kinds = instabilities(curve, { entropy, totalSteps: 1000 }).map(({ kind }) => kind);
    expect(kinds).not.toContain('plateau');
  });
});

describe('jumps', () => {
  test('of a few steps and of many are spikes when the loss comes back; those of one step are hard batches', () => {
    const raised = (step: number) =>
      step === 200 || (step >= 300 && step < 302) || (step >= 500 && step < 560) ? 1 : 0;
    expect(instabilities(curveOf(1000, (step) => learning(step) + raised(step)))).toEqual([
      { kind: 'spike', since: 300, until: 303, from: expect.closeTo(3.05, 0.1), to: expect.closeTo(4.05, 0.1) },
      { kind: 'spike', since: 500, until: 562, from: expect.closeTo(2.82, 0.1), to: expect.closeTo(3.85, 0.1) },
    ]);
  });

  test('are a divergence when it does not', () => {
    const [found, ...others] = instabilities(curveOf(1000, (step) => (step < 700 ? learning(step) : 5.5)));
    expect(others).toEqual([]);
    expect(found).toMatchObject({ kind: 'divergence', since: 700, to: 5.5 });
  });

  test('that began a moment ago are neither yet', () => {
    expect(instabilities(curveOf(1000, (step) => (step < 990 ? learning(step) : 5.5)))).toEqual([]);
  });

  test('are not the noise of small batches', () => {
    const found = instabilities(curveOf(5000, (step) => learning(step) + 0.3 * noise.normal()));
    expect(found.length).toBe(0);
  });
});

describe('slowness', () => {
  const reference = curveOf(1000, (step) => 6 - 0.5 * Math.log(step) + 0.02 * noise.normal());
  const falling = (slope: number, start = 6) =>
    curveOf(1000, (step) => start - slope * Math.log(step) + 0.02 * noise.normal());

  it('is the share of the slope against the logarithm of the step', () => {
    expect(slowness(falling(0.2), reference)).toBeCloseTo(0.4, 1);
    expect(slowness(falling(0), reference)).toBeCloseTo(0, 1);
  });

  it.each([
    ['as fast', falling(0.5, 6.5)],
    ['a little slower', falling(0.4)],
    ['slower because it is better already', falling(0.1, 3)],
    ['too short to tell', falling(0).slice(0, 2)],
  ])('is not what is %s', (_, curve) => expect(slowness(curve, reference)).toBeUndefined());
});

it('takes the entropy of what is trained, and of nothing else', () => {
  const sequence = (tokens: number[], trained: number[]) => ({
    tokens: Int32Array.from(tokens),
    trained: Uint8Array.from(trained),
  });
  // Trained are 1, 1, 2 and 3.
  const sequences = [sequence([9, 1, 1, 9, 2], [0, 1, 1, 0, 1]), sequence([1, 3], [0, 1])];
  expect(unigramEntropy(sequences)).toBeCloseTo(1.5 * Math.LN2, 12);
  expect(unigramEntropy([])).toBe(0);
});
