import { describe, test } from 'vitest';
import { tokenEntropies } from '../../src/losses/entropy.ts';
import { expectClose, expectGradients, tensor, valuesOf } from './gradients.ts';

const wave = (length: number, pace: number): number[] => Array.from({ length }, (_, i) => Math.sin(pace * i + 1));
const identity = Array.from({ length: 16 }, (_, i) => Number(i % 5 === 0));

describe('entropy of tokens', () => {
  test('is that of the distributions, and does not overflow', async () => {
    const logits = [
      [0, 0, 0, 0],
      [Math.log(0.7), Math.log(0.2), Math.log(0.1), -1e9],
      [1000, 0, 0, 0],
    ].flat();
    // ln 4, −Σ p · ln p of (0.7, 0.2, 0.1), and none
    const expected = [1.3862943611198906, 0.8018185525433373, 0];
    expectClose(
      await valuesOf(() => tokenEntropies(tensor(logits, [3, 4]), tensor(identity, [4, 4]))),
      expected,
      1e-12,
    );
  });

  test('has the gradient of central differences, to the hidden states and to the head', async () => {
    const [hidden, head] = [wave(12, 3), wave(12, 2)];
    await expectGradients([hidden], (x) => tokenEntropies(x, tensor(head, [3, 4])), [3, 4]);
    await expectGradients([head], (x) => tokenEntropies(tensor(hidden, [3, 4]), x), [3, 4]);
  });
});
