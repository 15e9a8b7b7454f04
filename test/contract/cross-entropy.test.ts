import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { backwardFromCrossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { mul } from '../../src/tensor/primitives.ts';
import { filled, fromHost } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { relativeDifference } from './differentiate.ts';

const { available, reason } = await nativeAvailability();
if (!available) console.log(`the native engine is not tested: ${reason}`);

interface Shape {
  rows: number;
  hidden: number;
  vocabulary: number;
  /** Logit of the last token in all rows, if it is to be far above the others. */
  peak?: number;
}

/**
 * Loss and gradients of the input and the head. Some targets are skipped, some weights are zero, and the gradients are
 * blank at first.
 */
async function lossAndGradients(backend: Backend, { rows, hidden, vocabulary, peak }: Shape, passes: number) {
  const random = new RandomStream(3, `${rows}/${hidden}/${vocabulary}`);
  const draw = (size: number, scale: number) => Float32Array.from({ length: size }, () => scale * random.normal());
  const inputs = draw(rows * hidden, 1);
  const weight = draw(vocabulary * hidden, 2 / Math.sqrt(hidden));
  if (peak) {
    for (let row = 0; row < rows; row++) inputs[row * hidden] = 1;
    weight.fill(0, (vocabulary - 1) * hidden);
    weight[(vocabulary - 1) * hidden] = peak / 2;
  }
  const x = fromHost(backend, inputs, [rows, hidden]);
  const head = fromHost(backend, weight, [vocabulary, hidden]);
  const targets = Int32Array.from({ length: rows }, (_, i) => (i % 5 === 4 ? -1 : (i * 7919) % vocabulary));
  const weights = Float32Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? 0 : 1 / (i + 1)));
  const gradients = [filled(backend, x.shape, Number.NaN), filled(backend, head.shape, Number.NaN)];
  for (const gradient of gradients) gradient.blank = true;
  let loss = 0;
  for (let pass = 0; pass < passes; pass++) {
    const tape = new Tape(new Map([x, head].map((leaf, i) => [leaf, gradients[i]!])));
    const doubled = tape.record(() => mul(x, 2));
    const tensor = backwardFromCrossEntropy(tape, doubled, head, targets, weights);
    loss = (await backend.read(tensor))[0]!;
    tensor.release();
    doubled.release();
  }
  const [dx, dHead] = await Promise.all(gradients.map((gradient) => backend.read(gradient)));
  for (const tensor of [x, head, ...gradients]) tensor.release();
  return { loss, dx: dx!, dHead: dHead! };
}

const oracle = new PortableBackend('f64');
const expectations = new Map<string, ReturnType<typeof lossAndGradients>>();

/** Loss and gradients of a shape in float64, computed once for all precisions. */
function expectedOf(shape: Shape, passes: number): ReturnType<typeof lossAndGradients> {
  const key = JSON.stringify(shape);
  const known = expectations.get(key) ?? lossAndGradients(oracle, shape, passes);
  expectations.set(key, known);
  return known;
}

describe.runIf(available)('cross-entropy with its backward pass', () => {
  describe.each([
    { precision: 'f32', bound: 3e-6 },
    { precision: 'bf16', bound: 1.5e-2 },
  ] as const)('$precision products', ({ precision, bound }) => {
    test.each([
      { rows: 1, hidden: 1, vocabulary: 2 },
      { rows: 7, hidden: 16, vocabulary: 33 },
      { rows: 131, hidden: 48, vocabulary: 517 },
      { rows: 20, hidden: 24, vocabulary: 9001 },
      { rows: 1500, hidden: 8, vocabulary: 6001 },
      // Exponentials relative to the first tokens' logits would overflow.
      { rows: 9, hidden: 8, vocabulary: 120, peak: 60 },
      { rows: 9, hidden: 8, vocabulary: 120, peak: 400 },
    ])('$rows rows of $hidden, vocabulary $vocabulary, equal float64', async (shape) => {
      const backend = await createNativeBackend({ precision });
      // Two passes, so that the second one adds to the gradients of the first.
      const passes = shape.rows > 1000 ? 1 : 2;
      const expected = await expectedOf(shape, passes);
      const actual = await lossAndGradients(backend, shape, passes);
      const used = backend.memory().used;
      await backend.dispose();
      expect(Math.abs(actual.loss / expected.loss - 1)).toBeLessThan(bound);
      expect(relativeDifference(actual.dx, expected.dx)).toBeLessThan(bound);
      expect(relativeDifference(actual.dHead, expected.dHead)).toBeLessThan(bound);
      expect(used).toBe(0);
    });
  });
});
