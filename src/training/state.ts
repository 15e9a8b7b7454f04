import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readFinite } from '../checkpoint/finite.ts';
import { saveModel } from '../checkpoint/load-model.ts';
import { readModelDirectory } from '../checkpoint/model-directory.ts';
import { openSafetensors } from '../checkpoint/safetensors-reader.ts';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import { readSavedJson } from '../checkpoint/saved-json.ts';
import { cursorSchema, DataCursor } from '../data/cursor.ts';
import type { Model } from '../model/model.ts';
import { releaseModel } from '../model/model.ts';
import { checkpointTensors } from '../model/parameters.ts';
import { readModel, tensorSource } from '../model/weights.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type Budget, budgetSchema, nothingSpent } from './budget.ts';
import { newOptimizer, type Optimizer, releaseOptimizer } from './optimizer.ts';
import type { Ranks } from './ranks.ts';

/** Everything that the rest of training depends on: weights, moments, number of updates, and position in the data. */
export interface TrainingState {
  optimizer: Optimizer;
  cursor: DataCursor;
  tokenizer: Tokenizer;
  /** What was spent so far; absent where it is not counted, or where an older version began. */
  budget?: Budget | undefined;
}

const countersSchema = z.strictObject({
  step: z.int().nonnegative(),
  cursor: cursorSchema,
  budget: budgetSchema.optional(),
});

const momentNames = ['firstMoments', 'secondMoments'] as const;

/**
 * Writes the state into an empty directory: the model as a Hugging Face directory (`model/`, so that a saved state can
 * be used as a model), the moments under the model's tensor names, and the counters.
 */
export async function saveTrainingState(state: TrainingState, directory: string): Promise<void> {
  const { optimizer, cursor, tokenizer, budget } = state;
  const { config } = optimizer.model;
  await mkdir(join(directory, 'model'));
  await saveModel(join(directory, 'model'), optimizer.model, { tokenizer });
  for (const moments of momentNames) {
    const tensors = checkpointTensors(config).map((tensor) => ({ ...tensor, dtype: 'F32' as const }));
    const read = tensorSource(config, optimizer[moments]);
    await writeSafetensors(join(directory, `${moments}.safetensors`), tensors, read);
  }
  const counters = { step: optimizer.step, cursor: cursor.state(), budget };
  await writeFile(join(directory, 'state.json'), `${JSON.stringify(counters, null, 2)}\n`);
}

export interface TrainingSetup {
  /** Number of rows of the data. */
  rows: number;
  /** Seed of the order of the rows. */
  seed: number;
  recompute: boolean;
  ranks?: Ranks | undefined;
}

/** The state before the first update. */
export function newTrainingState(model: Model, setup: TrainingSetup, tokenizer: Tokenizer): TrainingState {
  const cursor = new DataCursor(setup.rows, setup.seed);
  return { optimizer: newOptimizer(model, setup), cursor, tokenizer, budget: nothingSpent };
}

/**
 * Loads what `saveTrainingState` wrote; the next update is the same as in an uninterrupted run.
 * @throws RequestError
 */
export async function loadTrainingState(
  directory: string,
  backend: Backend,
  setup: TrainingSetup,
  tokenizer: Tokenizer,
): Promise<TrainingState> {
  const { config, read } = await readModelDirectory(join(directory, 'model'));
  const model = await readModel(config, backend, read);
  const counters = await readSavedJson(join(directory, 'state.json'), countersSchema);
  const optimizer = newOptimizer(model, setup);
  optimizer.step = counters.step;
  for (const moments of momentNames) {
    const store = await openSafetensors(join(directory, `${moments}.safetensors`));
    const stored = await readModel(model.config, backend, (name, into, from) => readFinite(store, name, into, from));
    copyTensors(stored, optimizer[moments]);
    releaseModel(stored);
  }
  const cursor = new DataCursor(setup.rows, setup.seed);
  cursor.restore(counters.cursor);
  return { optimizer, cursor, tokenizer, budget: counters.budget };
}

function copyTensors(from: Model, to: ReadonlyMap<string, Tensor>): void {
  for (const [name, tensor] of from.parameters) from.backend.unary('copy', tensor, to.get(name)!);
}

export function releaseTrainingState({ optimizer }: TrainingState): void {
  releaseOptimizer(optimizer);
  releaseModel(optimizer.model);
}
