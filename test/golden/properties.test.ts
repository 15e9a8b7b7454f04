import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packSequences } from '../../src/data/batch.ts';
import { headOf, hiddenStates, type Model, releaseModel } from '../../src/model/model.ts';

import type { Backend } from '../../src/tensor/backends/backend.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { tokenLogProbs } from '../../src/tensor/fused/token-log-probs.ts';
import { filled } from '../../src/tensor/scope.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, type Optimizer, releaseOptimizer } from '../../src/training/optimizer.ts';
import { backends, valuesOf } from './backends.ts';
import { largestDifference } from './fixtures.ts';
import { fixtures, goldenModel, modelNames, sequenceOf } from './runs.ts';

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

    test('a sequence among others has the log-probabilities that it has alone', async () => {
      const batch = packSequences(rows);
      const together = await logProbsOf(model, rows);
      for (const [index, row] of rows.entries()) {
        const [start, end] = [batch.segments[index]!, batch.segments[index + 1]!];
        expect(largestDifference(together.subarray(start, end), await logProbsOf(model, [row]))).toBeLessThan(bound);
      }
    });

    test('ragged rows give the same loss and gradients as one batch of 8, four of 2, eight of 1', async () => {
      const [whole, ...divided] = await Promise.all([8, 2, 1].map((batchSize) => gradientsOf(model, batchSize)));
      for (const { loss, gradients } of divided) {
        expect(Math.abs(loss - whole!.loss)).toBeLessThan(1e-6);
        for (const [tensor, gradient] of gradients) {
          expect(largestDifference(gradient, whole!.gradients.get(tensor)!), tensor).toBeLessThan(1e-6);
        }
      }
    });
  });
});

function logProbsOf(model: Model, sequences: typeof rows) {
  const batch = packSequences(sequences);
  return valuesOf(() => tokenLogProbs(hiddenStates(model, batch), headOf(model), batch.targets));
}

async function gradientsOf(
  model: Model,
  batchSize: number,
): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
  const microBatches = Array.from({ length: rows.length / batchSize }, (_, i) =>
    rows.slice(i * batchSize, (i + 1) * batchSize),
  );
  const optimizer: Optimizer = newOptimizer(model);
  const { loss } = await languageModelLoss(optimizer, microBatches);
  const gradients = new Map<string, Float32Array>();
  for (const [name, tensor] of optimizer.gradients) {
    gradients.set(name, Float32Array.from(await model.backend.read(tensor)));
  }
  releaseOptimizer(optimizer);
  return { loss, gradients };
}
