import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { analyze } from '../../src/analysis/analyze.ts';
import { loadModel, saveModel } from '../../src/checkpoint/load-model.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { openDecoder } from '../../src/generation/decoder.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, trainablesOf } from '../../src/model/model.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { type SftConfig, sftStage } from '../../src/stages/sft.ts';
import type { StageRun } from '../../src/stages/stage.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { exported, lastLogits, type Trained, trained } from './stage-runs.ts';

vi.mock(import('../../src/model/families/index.ts'), async (original) => {
  const [{ families }, { toyFamily }] = await Promise.all([original(), import('./toy-family.ts')]);
  return { families: [...families, toyFamily] };
});

const tokenizer = trainTokenizer(['How much is 3 and 4? 7.\n'.repeat(20)], { vocabSize: 290 });
const toy: ModelConfig = {
  ...{ vocabSize: tokenizer.vocabSize, hiddenSize: 16, intermediateSize: 24, layers: 3 },
  ...{ heads: 4, kvHeads: 2, headDim: 8, ropeTheta: 10000, rmsNormEps: 1e-6, maxLength: 64, tieWordEmbeddings: true },
  family: { name: 'toy', settings: { stretch: 2, unrotated: [1] } },
  norm: { name: 'pre', settings: {} },
};
const biases = [0, 1, 2].flatMap((layer) =>
  ['q', 'k', 'v'].map((name) => `model.layers.${layer}.self_attn.${name}_proj.bias`),
);

describe.each(['native', 'portable'] as const)('a family that is one value and one entry in a list, on %s', (name) => {
  let folder: string;
  let run: StageRun;
  let config: SftConfig;
  let fresh: Model;
  let whole: Trained;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixtune-family-'));
    const { backend } = await openBackend({ backend: name, precision: 'f32' });
    const start = join(folder, 'start');
    await mkdir(start);
    fresh = await initialiseModel(toy, backend, 1);
    await saveModel(start, fresh, { tokenizer });
    const rows = Array.from({ length: 6 }, (_, i) => ({ instruction: `How much is ${i} and 1?`, output: `${i + 1}.` }));
    await writeFile(join(folder, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const inputs = { from: [{ name: 'start', directory: start }] };
    run = { backend, seed: 1, directory: folder, baseDirectory: folder, inputs, log: () => {} };
    const training = { steps: 3, batchSize: 2, lr: 1e-2, weightDecay: 0.1 };
    config = sftStage.schema.parse({ from: 'start', data: 'rows.jsonl', ...training });
    whole = await trained(sftStage, config, run, 3);
  });
  afterAll(async () => {
    await run.backend.dispose();
    await rm(folder, { recursive: true });
  });

  test('begins as its parts say, and only what decays is pulled to 0', async () => {
    const trainables = trainablesOf(fresh);
    for (const name of biases) {
      expect([...(await run.backend.read(fresh.parameters.get(name)!))].every((value) => value === 0)).toBe(true);
      expect(trainables.get(name)!.decays).toBe(false);
    }
    expect(trainables.get('model.layers.0.self_attn.o_proj.weight')!.decays).toBe(true);
  });

  test('tells what a layer is computed of, which recomputing keeps', () => {
    const names = [...fresh.parameters.keys()].filter((name) => name.startsWith('model.layers.0.'));
    expect(names).toHaveLength(9);
    expect(new Set(fresh.layers[0]!.tensors)).toEqual(new Set(names.map((name) => fresh.parameters.get(name))));
  });

  test('trains what is its own, and goes on from a saved state to the same bits', async () => {
    const half = await trained(sftStage, config, run, 1);
    const rest = await trained(sftStage, config, run, 3, half.saved);
    expect([...half.losses, ...rest.losses]).toEqual(whole.losses);
    const weights = (directory: string) => readFile(join(directory, 'model.safetensors'));
    expect((await weights(rest.final)).equals(await weights(whole.final))).toBe(true);
    const { read } = await readModelDirectory(whole.final);
    // One vector added to all keys moves all scores of a query alike where nothing rotates: that has no gradient.
    for (const name of biases.filter((name) => !name.includes('layers.1.self_attn.k')))
      expect(
        (await read(name)).every((value) => Math.abs(value) > 1e-6),
        name,
      ).toBe(true);
  });

  test('is read by its model_type, and its keys are its own', async () => {
    const json = JSON.parse(await readFile(join(whole.final, 'config.json'), 'utf8'));
    expect(json).toMatchObject({ model_type: 'toy', architectures: ['ToyForCausalLM'], rope_stretch: 2 });
    const read = await readModelDirectory(whole.final);
    expect(read.config).toEqual(toy);
    expect(read.notes).toEqual([]);
    await expect(readModelDirectory(await changed({ rope_stretch: 0 }))).rejects.toThrow('rope_stretch: 0; a number');
    await expect(readModelDirectory(await changed({ sliding_window: 8 }))).rejects.toThrow('sliding_window: is 8;');
    await expect(readModelDirectory(await changed({ model_type: 'qwen2' }))).rejects.toThrow('llama, mixln, and toy');
    await expect(readModelDirectory(await changed({ model_type: 'llama' }))).rejects.toThrow(
      /self_attn\.q_proj\.bias.*\(9 tensors\): is not a tensor of this architecture/,
    );
  });

  test('names a bias that is missing', async () => {
    await expect(readModelDirectory(await changed({}, biases[4]))).rejects.toThrow(
      'model.layers.1.self_attn.k_proj.bias: is missing; [16] is expected',
    );
  });

  test('attends as analyze sees it', async () => {
    const plain = { ...toy, family: { name: 'llama', settings: {} } };
    // Biases begin as 0, and weights by their names: so the two are one model.
    const unbiased = { ...toy, family: { name: 'toy', settings: { stretch: 1, unrotated: [] } } };
    const sequence = { tokens: Int32Array.from(tokenizer.encode('How much is 3 and 4?')), trained: new Uint8Array(64) };
    const entropyIn = async (config: ModelConfig) => {
      const model = await initialiseModel(config, run.backend, 1, { std: 0.5, embeddingStd: 1 });
      return (
        await analyze(model, [{ ...sequence, trained: sequence.trained.fill(1, 1) }])
      ).attentionEntropy.nats.flat();
    };
    const [expected, found] = [await entropyIn(plain), await entropyIn(unbiased)];
    expect(found).toEqual(expected.map((entropy) => expect.closeTo(entropy, 5)));
    expect(await entropyIn(toy)).not.toEqual(expected.map((entropy) => expect.closeTo(entropy, 5)));
  });

  test('exports', async () => {
    const { config, read } = await readModelDirectory(await exported(whole.final, run));
    expect(config).toEqual(toy);
    expect((await read(biases[0]!)).some((value) => value !== 0)).toBe(true);
  });

  test('gives the same logits over a cache as without', async () => {
    const { model } = await loadModel(whole.final, run.backend);
    const texts = [[...tokenizer.encode('How much is')], [...tokenizer.encode('3 and 4')]];
    const decoder = openDecoder(model, texts.length, 32);
    for (let step = 0, read = [0, 0]; step < 4; step++) {
      const news = texts.map((text, i) => ({ sequence: i, position: read[i]!, tokens: text.slice(read[i]) }));
      const logits = decoder.nextLogits(news);
      const cached = [...(await run.backend.read(logits))];
      logits.release();
      read = texts.map((text) => text.length);
      for (const [i, text] of texts.entries()) {
        const expected = await lastLogits(model, text);
        const ours = cached.slice(i * toy.vocabSize, (i + 1) * toy.vocabSize);
        expect(Math.max(...ours.map((value, id) => Math.abs(value - expected[id]!)))).toBeLessThan(1e-5);
        text.push(expected.indexOf(Math.max(...expected)));
      }
    }
    decoder.release();
  });

  /** The trained model with other keys in config.json, and without one of its tensors. */
  async function changed(keys: object, missing?: string): Promise<string> {
    const directory = await mkdtemp(join(folder, 'changed-'));
    const json = JSON.parse(await readFile(join(whole.final, 'config.json'), 'utf8'));
    await writeFile(join(directory, 'config.json'), JSON.stringify({ ...json, ...keys }));
    const { read } = await readModelDirectory(whole.final);
    const specs = checkpointTensors(toy).map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const }));
    const present = specs.filter(({ name }) => name !== missing);
    await writeSafetensors(join(directory, 'model.safetensors'), present, (name) => read(name));
    return directory;
  }
});
