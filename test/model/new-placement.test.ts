import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadModel } from '../../src/checkpoint/load-model.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { generate } from '../../src/generation/generate.ts';
import { trainablesOf } from '../../src/model/model.ts';
import { type PretrainConfig, pretrainStage } from '../../src/stages/pretrain.ts';
import type { StageRun } from '../../src/stages/stage.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { exported, lastLogits, type Trained, trained, withoutPlacement } from './stage-runs.ts';

vi.mock(import('../../src/model/placements/index.ts'), async (original) => {
  const [{ placements }, { toyPlacement }] = await Promise.all([original(), import('./toy-placement.ts')]);
  return { placements: [...placements, toyPlacement] };
});

const text = 'The mill stands by the river. Anna bakes bread in the morning and sells it at noon. '.repeat(20);

describe.each(['native', 'portable'] as const)(
  'a placement that is one value and one entry in a list, on %s',
  (name) => {
    let folder: string;
    let run: StageRun;
    let config: PretrainConfig;
    let whole: Trained;
    const tokenizer = trainTokenizer([text], { vocabSize: 290 });

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'mixtune-placement-'));
      const { backend } = await openBackend({ backend: name, precision: 'f32' });
      await mkdir(join(folder, 'tokenizer'));
      await tokenizer.save(join(folder, 'tokenizer'));
      await writeFile(join(folder, 'text.txt'), text);
      const inputs = { tokenizer: [{ name: 'tokenizer', directory: join(folder, 'tokenizer') }] };
      run = { backend, seed: 1, directory: folder, baseDirectory: folder, inputs, log: () => {} };
      config = pretrainStage.schema.parse({
        ...{ tokenizer: 'tokenizer', data: 'text.txt', model: '1m', norm: 'toy', stride: 3 },
        ...{ length: 8, steps: 3, batchSize: 1, lr: 1e-2, weightDecay: 0.1 },
      });
      whole = await trained(pretrainStage, config, run, 3);
    });
    afterAll(async () => {
      await run.backend.dispose();
      await rm(folder, { recursive: true });
    });

    test('trains, and goes on from a saved state to the same bits', async () => {
      const half = await trained(pretrainStage, config, run, 1);
      const rest = await trained(pretrainStage, config, run, 3, half.saved);
      expect(whole.losses.at(-1)).not.toBe(whole.losses[0]);
      expect([...half.losses, ...rest.losses]).toEqual(whole.losses);
      const weights = (directory: string) => readFile(join(directory, 'model.safetensors'));
      expect((await weights(rest.final)).equals(await weights(whole.final))).toBe(true);
    });

    test('begins as its parts say, and only what decays is pulled to 0', async () => {
      const { model } = await loadModel(whole.final, run.backend);
      const trainables = trainablesOf(model);
      const names = [...trainables.keys()].filter((name) => name.includes('layers.0.') && /scale|norm/.test(name));
      expect(names).toHaveLength(6);
      expect(names.some((name) => trainables.get(name)!.decays)).toBe(false);
      expect(trainables.get('model.layers.0.mlp.down_proj.weight')!.decays).toBe(true);
    });

    test('is stated by the config, and inferred where nothing states it', async () => {
      const stated = await readModelDirectory(whole.final);
      expect(stated.config.norm).toEqual({ name: 'toy', settings: { stride: 3 } });
      const inferred = await readModelDirectory(await withoutPlacement(whole.final, join(folder, 'bare')));
      expect(inferred.config.norm).toEqual(stated.config.norm);
      expect(inferred.notes[0]).toMatch(/toy \(scaled sub-layers in one of 3 of 4 layers\), from the tensor names/);
    });

    test('exports', async () => {
      const out = await exported(whole.final, run);
      expect((await readModelDirectory(out)).config.norm.name).toBe('toy');
    });

    test('decodes to the tokens that training gives the highest logits', async () => {
      const { model } = await loadModel(whole.final, run.backend);
      const prompt = tokenizer.encode('Anna bakes');
      const [generation] = await generate(model, [prompt], { maxNewTokens: 8, stopIds: [] });
      const sequence = [...prompt];
      for (const token of generation!.tokens) {
        const logits = await lastLogits(model, sequence);
        expect(token).toBe(logits.indexOf(Math.max(...logits)));
        sequence.push(token);
      }
    });
  },
);
