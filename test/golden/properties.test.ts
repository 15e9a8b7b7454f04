import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packSequences } from '../../src/data/batch.ts';
import { headOf, hiddenStates, type Model, releaseModel } from '../../src/model/model.ts';

import { copyModel } from '../../src/model/weights.ts';
import type { Backend, HostArray } from '../../src/tensor/backends/backend.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { tokenLogProbs } from '../../src/tensor/fused/token-log-probs.ts';
import { filled } from '../../src/tensor/scope.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, type Optimizer, releaseOptimizer } from '../../src/training/optimizer.ts';
import { preferenceStep } from '../../src/training/preference.ts';
import { ktoStep } from '../../src/training/unpaired.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference } from './fixtures.ts';
import { fixtures, goldenModel, modelNames, sequenceOf, withReference } from './runs.ts';

const rows = fixtures.sft.windows.flat(2).slice(0, 8).map(sequenceOf);

describe.each(backends)('properties on $name', ({ open, bound }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  test('uniform logits cost the logarithm of the vocabulary', async () => {
    const targets = Int32Array.of(0, 31999, 17);
    const weights = new Float32Array(3).fill(1);
    const loss = await valuesOf(() =>
      crossEntropy(filled(backend, [3, 8], 1), filled(backend, [32000, 8], 0.5), targets, weights),
    );
    expect(Math.abs(loss[0]! / 3 - 10.373491181781864)).toBeLessThan(10 * bound);
  });

  describe.each(modelNames)('%s', (name) => {
    let model: Model;
    beforeAll(async () => {
      model = await goldenModel(name, backend);
    });
    afterAll(() => releaseModel(model));

    test('a sequence has the same log-probabilities alone as among others', async () => {
      const batch = packSequences(rows);
      const together = await logProbsOf(model, rows);
      for (const [index, row] of rows.entries()) {
        const [start, end] = [batch.segments[index]!, batch.segments[index + 1]!];
        expect(largestDifference(together.subarray(start, end), await logProbsOf(model, [row]))).toBeLessThan(bound);
      }
    });

    test('ragged rows give the same step as one batch of 8, four of 2, eight of 1', async () => {
      await expectSameSteps(model, rows, languageModelLoss);
    });

    test('ragged pairs give the same step as one batch of 8, four of 2, eight of 1', async () => {
      const pairs = await withReference(model, fixtures.dpo.windows.flat(2).slice(0, 8));
      const config = { loss: 'dpo', beta: 0.1, labelSmoothing: 0, gamma: 0, nllWeight: 0.3 } as const;
      await expectSameSteps(model, pairs, (optimizer, microBatches) => preferenceStep(optimizer, microBatches, config));
    });

    test('unpaired answers, whose baseline covers the whole step, give the same step too', async () => {
      const pairs = await withReference(model, fixtures.dpo.windows.flat(2).slice(0, 4));
      // Lower than the model's own log-probabilities, so that the baseline is not 0.
      const answers = pairs.flatMap(({ chosen, rejected, reference }) => [
        { ...chosen, desirable: true, reference: reference.chosen - 1 },
        { ...rejected, desirable: false, reference: reference.rejected - 2 },
      ]);
      const weights = { desirableWeight: 1, undesirableWeight: 1.3, nllWeight: 0.3 };
      const config = { loss: 'kto', beta: 0.1, maxLength: 64, ...weights } as const;
      const other = copyModel(model);
      for (const tensor of other.parameters.values()) {
        backend.write(
          tensor,
          (await backend.read(tensor)).map((x) => 1.25 * x),
        );
      }
      const step: Step<(typeof answers)[number]> = (optimizer, microBatches) =>
        ktoStep(optimizer, microBatches, other, config);
      const optimizer = newOptimizer(model);
      expect((await ktoStep(optimizer, [answers], other, config)).metrics.kl).toBeGreaterThan(0.1);
      releaseOptimizer(optimizer);
      await expectSameSteps(model, answers, step);
      releaseModel(other);
    });
  });
});

function logProbsOf(model: Model, sequences: typeof rows) {
  const batch = packSequences(sequences);
  return valuesOf(() => tokenLogProbs(hiddenStates(model, batch), headOf(model), batch.targets));
}

/** Accumulates gradients over the micro-batches of a window and returns the window's loss. */
type Step<Item> = (optimizer: Optimizer, microBatches: Item[][]) => Promise<{ loss: number }>;

async function expectSameSteps<Item>(model: Model, items: readonly Item[], step: Step<Item>): Promise<void> {
  const whole = await gradientsOf(model, items, 8, step);
  for (const batchSize of [2, 1]) {
    const divided = await gradientsOf(model, items, batchSize, step);
    expect(Math.abs(divided.loss - whole.loss)).toBeLessThan(1e-6);
    for (const [tensor, gradient] of divided.gradients) {
      expect(largestDifference(gradient, whole.gradients.get(tensor)!), tensor).toBeLessThan(1e-6);
    }
  }
}

async function gradientsOf<Item>(model: Model, items: readonly Item[], batchSize: number, step: Step<Item>) {
  const optimizer = newOptimizer(model);
  const microBatches = Array.from({ length: items.length / batchSize }, (_, i) =>
    items.slice(i * batchSize, (i + 1) * batchSize),
  );
  const { loss } = await step(optimizer, microBatches);
  const gradients = new Map<string, HostArray>();
  for (const [name, tensor] of optimizer.gradients) gradients.set(name, await model.backend.read(tensor));
  releaseOptimizer(optimizer);
  return { loss, gradients };
}
