import { afterAll, describe, expect, test } from 'vitest';
import { openSampler } from '../../src/generation/batch-sampler.ts';
import { unfiltered } from '../../src/generation/sampler.ts';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import type { Sampling } from '../../src/tensor/backends/kernels/sampling.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { fromHost, scope } from '../../src/tensor/scope.ts';

const availability = await nativeAvailability();
if (!availability.available) console.log(`the native engine is not tested: ${availability.reason}`);

const [vocabulary, rows, steps] = [1000, 5, 60];
const sequences = [3, 0, 4, 1, 2];

/** Logits of a step, peaked in some rows and nearly flat in others; some values are repeated. */
function logitsAt(step: number): Float32Array {
  const random = new RandomStream(step, 'logits');
  return Float32Array.from({ length: rows * vocabulary }, (_, i) => {
    const spread = 0.5 + 2 * Math.floor(i / vocabulary);
    return Math.round(8 * spread * random.normal()) / 8;
  });
}

/** Draws tokens for all sequences, which use `samplings` in turn. */
async function drawn(
  backend: Backend,
  ...samplings: readonly Sampling[]
): Promise<{ tokens: number[]; logProbs: number[] }> {
  const sampler = openSampler(backend, { sequences: rows, vocabulary });
  for (const sequence of sequences) {
    const prompt = Int32Array.of(sequence, 7, 999);
    const sampling = samplings[sequence % samplings.length]!;
    sampler.begin(sequence, { prompt, sampling, random: new RandomStream(1, `row/${sequence}`) });
  }
  const [tokens, logProbs]: number[][] = [[], []];
  for (let step = 0; step < steps; step++) {
    const logits = scope(() => fromHost(backend, logitsAt(step), [rows, vocabulary]), { adopt: false });
    const draw = sampler.draw(logits, sequences, { logProbs: true });
    logits.release();
    const result = await draw.result;
    draw.release();
    tokens!.push(...result.tokens);
    logProbs!.push(...result.logProbs!);
  }
  sampler.release();
  return { tokens: tokens!, logProbs: logProbs! };
}

describe.runIf(availability.available)('the engine draws the tokens that the definition gives', async () => {
  const backend = await createNativeBackend({ precision: 'f32', threads: 2 });
  afterAll(() => backend.dispose());

  const options: Partial<Sampling>[] = [
    {},
    { temperature: 0 },
    { temperature: 0.3 },
    { topK: 1 },
    { topK: 40 },
    { topK: 5000 },
    { topP: 0.9 },
    { topP: 1e-6 },
    { minP: 0.05 },
    { topK: 50, topP: 0.8, minP: 0.02, temperature: 1.5 },
    { topP: 0.95, minP: 0.1 },
    { repetitionPenalty: 1.3 },
    { repetitionPenalty: 5, temperature: 0 },
    { repetitionPenalty: 0.7, topK: 20, topP: 0.9 },
  ];
  const samplings = options.map((changed) => ({ ...unfiltered, ...changed }));

  async function compare(samplings: readonly Sampling[]): Promise<void> {
    const expected = await drawn(new PortableBackend('f64'), ...samplings);
    const actual = await drawn(backend, ...samplings);
    expect(actual.tokens).toEqual(expected.tokens);
    const differences = actual.logProbs.map((logProb, i) => Math.abs(logProb - expected.logProbs[i]!));
    expect(Math.max(...differences)).toBeLessThan(1e-5);
    expect(backend.memory().used).toBe(0);
  }

  test.each(samplings)('%j', (sampling) => compare([sampling]));

  test('each sequence in its own way', async () => {
    for (let first = 0; first < samplings.length; first += rows) await compare(samplings.slice(first, first + rows));
  });

  test.each([{ temperature: 0 }, { temperature: 1 }, { topK: 2 }, { repetitionPenalty: 2 }])(
    'a row whose logits are not finite has no token, %j',
    async (changed) => {
      for (const where of [backend, new PortableBackend('f64')]) {
        const sampling = { ...unfiltered, ...changed };
        const sampler = openSampler(where, { sequences: 4, vocabulary: 3 });
        for (const row of [0, 1, 2, 3]) {
          sampler.begin(row, { prompt: Int32Array.of(1), sampling, random: new RandomStream(1, `row/${row}`) });
        }
        const rows = [1, Number.NaN, 2, 90, 0, 0, 1, Number.POSITIVE_INFINITY, 2, 1, 2, Number.NEGATIVE_INFINITY];
        const logits = scope(() => fromHost(where, Float32Array.from(rows), [4, 3]), { adopt: false });
        const draw = sampler.draw(logits, [0, 1, 2, 3], { logProbs: true });
        const { tokens, logProbs } = await draw.result;
        expect([...tokens]).toEqual([-1, 0, -1, -1]);
        expect(Array.from(logProbs!, Number.isNaN)).toEqual([true, false, true, true]);
        draw.release();
        logits.release();
        sampler.release();
      }
    },
  );
});
