import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { referenceLogProbs } from '../../src/training/reference.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';

let model: Model;
let directory: string;
beforeAll(async () => {
  const small = { vocabSize: 19, hiddenSize: 16, intermediateSize: 24, layers: 1, heads: 4, kvHeads: 2, headDim: 4 };
  model = await initialiseModel({ ...presetConfig('1m'), ...small }, new PortableBackend('f64'), 5);
  directory = await mkdtemp(join(tmpdir(), 'mixtune-reference-'));
});
afterAll(async () => {
  releaseModel(model);
  await rm(directory, { recursive: true });
});

test('other tokens or other masks of the same lengths are not taken from the cache', async () => {
  const log: string[] = [];
  const of = (tokens: number[], trained: number[]) => [
    { tokens: Int32Array.from(tokens), trained: Uint8Array.from(trained) },
  ];
  const texts = [of([1, 2, 3], [0, 0, 1]), of([1, 2, 4], [0, 0, 1]), of([1, 2, 3], [0, 1, 1])];
  for (const sequences of [...texts, ...texts]) {
    const found = await referenceLogProbs(model, sequences, { directory, log: (line) => void log.push(line) });
    expect(found).toEqual(await logLikelihoods(model, sequences));
  }
  expect(log.filter((line) => line.includes('cache/reference-'))).toHaveLength(3);
});
