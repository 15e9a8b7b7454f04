import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../src/checkpoint/load-model.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { runNode } from '../../src/pipeline/run-node.ts';
import type { NodeJob } from '../../src/runs/node-file.ts';
import { readRecords } from '../../src/runs/records.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

let world: SmallWorld;
beforeAll(async () => {
  world = await smallWorld();
});
afterAll(() => world.close());

/** Runs pre-training as a command does, and returns its folder. */
async function pretrained(name: string, keys: object): Promise<string> {
  const directory = join(world.directory, name);
  await mkdir(directory);
  const config = { tokenizer: 'start', data: 'text.txt', length: 16, layers: 3, hiddenSize: 16, heads: 2, ...keys };
  const job: NodeJob = {
    ...{ format: 1, id: name, stage: 'pretrain', run: 'pretrain', seed: 1, key: name, directory },
    ...{ baseDirectory: world.directory, machine: { backend: 'auto', precision: 'f32' }, config },
    inputs: { tokenizer: world.run().inputs.tokenizer!.map((input) => ({ ...input })) },
  };
  const stop = { reason: undefined, isSaveWanted: false };
  await runNode(job, { stages: [pretrainStage as never], threads: 1, stop, log: () => {}, warn: () => {} });
  return directory;
}

test('steps: 0 writes the model as it is initialised, measured once', async () => {
  const folder = await pretrained('initial', { steps: 0, holdOut: 0.2, initStd: 0.05, embeddingStd: 0.3 });
  const { config } = await readModelDirectory(join(folder, 'final'));
  expect(config).toMatchObject({ layers: 3, hiddenSize: 16, heads: 2, headDim: 8, intermediateSize: 48 });
  const { model } = await loadModel(join(folder, 'final'), world.backend);
  const fresh = await initialiseModel(config, world.backend, 1, { std: 0.05, embeddingStd: 0.3 });
  expect(await world.weightsOf(model)).toBe(await world.weightsOf(fresh));
  releaseModel(model);
  releaseModel(fresh);
  const records = await readRecords(join(folder, 'metrics.jsonl'));
  expect(records.map(({ type, step }) => `${type} ${step}`)).toEqual(['start 0', 'eval 0', 'sample 0', 'done 0']);
});

test('a model that no memory holds is refused before it is made', async () => {
  await expect(pretrained('huge', { hiddenSize: 1_000_000, layers: 10_000 })).rejects.toThrow(
    /model: [\d,]+ million parameters, their gradients and moments take [\d,]+ GB.*\n.*fewer layers/,
  );
});
