import { describe, expect, test } from 'vitest';
import { ktoBaseline, ktoLoss } from '../../src/losses/kto.ts';
import { oddsRatioLoss } from '../../src/losses/orpo.ts';
import { pairLoss } from '../../src/losses/preference.ts';
import { simpoLoss } from '../../src/losses/simpo.ts';
import { expectClose, expectGradients, tensor, valuesOf } from './gradients.ts';

/** What torchtune's test of its DPO losses uses. */
const policy = { chosen: [-0.5, -10, -1], rejected: [-0.1, -30, -21] };
const reference = { chosen: [-0.5, -10.1, -0.1], rejected: [-0.1, -20.1, -0.1] };
const ratios = (side: 'chosen' | 'rejected') => policy[side].map((logProb, i) => logProb - reference[side][i]!);

describe('losses of pairs', () => {
  test.each([
    { loss: 'dpo', labelSmoothing: 0 },
    { loss: 'dpo', labelSmoothing: 0.1 },
    { loss: 'ipo', labelSmoothing: 0 },
    { loss: 'hinge', labelSmoothing: 0 },
    { loss: 'orpo', labelSmoothing: 0 },
    { loss: 'simpo', labelSmoothing: 0 },
  ] as const)('the gradient of $loss with label smoothing $labelSmoothing', async ({ loss, labelSmoothing }) => {
    const scores = [
      [-1, -0.5, -4, -0.3, -20],
      [-1, -1, -1, -8.3, -0.2],
    ];
    await expectGradients(scores, (...x) => pairLoss(x[0]!, x[1]!, { loss, beta: 0.1, labelSmoothing, gamma: 0.5 }));
  });
});

describe('SimPO', () => {
  test('of torchtune', async () => {
    const [chosen, rejected] = [tensor(policy.chosen), tensor(policy.rejected)];
    const losses = await valuesOf(() => simpoLoss(chosen, rejected, { beta: 2, gamma: 0.5 }));
    expect(losses[0]).toBeCloseTo(1.5410084538, 10);
    expectClose(losses.slice(1), [7.004352026e-18, 7.004352026e-18], 1e-15);
  });

  test('a loss that is nearly 0 still has its gradient, −β · σ(−39.5)', async () => {
    const [gradient] = await expectGradients([[-10], [-30]], (...x) =>
      simpoLoss(x[0]!, x[1]!, { beta: 2, gamma: 0.5 }),
    );
    expect(gradient![0]! / (-2 * 7.004352026e-18)).toBeCloseTo(1, 9);
  });

  test('its gradient is that of central differences', async () => {
    await expectGradients(
      [
        [-0.5, -1, -2],
        [-0.1, -3, -2],
      ],
      (...x) => simpoLoss(x[0]!, x[1]!, { beta: 2, gamma: 0.5 }),
    );
  });
});

describe('KTO', () => {
  const weights = { beta: 0.1, desirableWeight: 1, undesirableWeight: 1 };
  const logRatios = [...ratios('chosen'), ...ratios('rejected')];
  const desirable = [true, true, true, false, false, false];

  test('of torchtune, published to four digits', async () => {
    const losses = await valuesOf(() => ktoLoss(tensor(logRatios), desirable, 0, weights));
    expectClose(losses, [0.5, 0.4975, 0.5225, 0.5, 0.2709, 0.1101], 5e-5);
  });

  test('the baseline is a mean that is never negative', () => {
    expect(ktoBaseline([-1.0, 0.25, 1.0], [0.4, 0.2, -0.2])).toBe(0);
    expect(ktoBaseline([1, 2], [0, 0])).toBe(1.5);
  });

  test('a baseline of β · z = 1 and weights: 4/3 · (1 − σ(−1)) and 2 · (1 − σ(1))', async () => {
    const losses = await valuesOf(() =>
      ktoLoss(tensor([0, 0]), [true, false], 10, { beta: 0.1, desirableWeight: 4 / 3, undesirableWeight: 2 }),
    );
    expectClose(losses, [(4 / 3) * 0.7310585786300049, 2 * 0.2689414213699951], 1e-12);
  });

  test('its gradient is that of central differences', async () => {
    await expectGradients([logRatios], (x) => ktoLoss(x, desirable, 0.7, { ...weights, undesirableWeight: 2 }));
  });
});

describe('odds-ratio term of ORPO', () => {
  // Probabilities 0.5 and 0.2: odds 1 and 1/4, so the ratio is 4 and the loss log(1 + 1/4).
  test('is the logistic loss of the log odds ratio', async () => {
    const losses = await valuesOf(() => oddsRatioLoss(tensor([Math.log(0.5)]), tensor([Math.log(0.2)])));
    expectClose(losses, [Math.log(1.25)], 1e-12);
  });

  test('keeps its digits where an answer is nearly certain', async () => {
    // log odds of log p = −1e-9 are −1e-9 + ln 1e9 + 5e-10 = 20.723265836446, of p = ½ 0; ln(1 + e²⁰·⁷…) is 1e-9 more.
    const losses = await valuesOf(() => oddsRatioLoss(tensor([Math.log(0.5)]), tensor([-1e-9])));
    expect(losses[0]).toBeCloseTo(20.723265837446, 8);
  });

  test('its gradient is that of central differences, on both sides of the switch to the series', async () => {
    await expectGradients(
      [
        [-0.5, -2, -0.0005, -0.003],
        [-0.7, -1, -0.4, -3],
      ],
      (...x) => oddsRatioLoss(x[0]!, x[1]!),
    );
  });
});
