import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadModel, saveModel } from '../../src/checkpoint/load-model.ts';
import { exportStage } from '../../src/stages/export.ts';
import type { StageRun } from '../../src/stages/stage.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { loadTokenizer } from '../../src/tokenizer/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { folderWith, pre } from './made-models.ts';
import { temporaryFolder } from './temporary.ts';

const config = { ...pre, vocabSize: 300 };

/** A model with its tokenizer, whose end token is 0, and what its files list. */
async function modelWith(inConfig: unknown, generation: Record<string, unknown> | undefined): Promise<string> {
  const folder = await folderWith(config, { eos_token_id: inConfig });
  await trainTokenizer(['a text'], { vocabSize: 262 }).save(folder);
  if (generation) await writeFile(join(folder, 'generation_config.json'), JSON.stringify(generation));
  return folder;
}

const readJson = async (folder: string, name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'));

/** What a training stage would save. */
async function trained(folder: string): Promise<string> {
  const result = await temporaryFolder();
  const backend = new PortableBackend('f32');
  const { model } = await loadModel(folder, backend);
  await saveModel(result, model, { tokenizer: await loadTokenizer(folder) });
  await backend.dispose();
  return result;
}

async function exported(folder: string): Promise<string> {
  const result = join(await temporaryFolder(), 'final');
  await mkdir(result);
  const inputs = { from: [{ name: folder, directory: folder }] };
  const options = { from: folder, dtype: 'f32' as const };
  const state = await exportStage.open(options, { inputs, log: () => {} } as unknown as StageRun);
  await exportStage.finish(options, state, result);
  return result;
}

describe('ids that end a text', () => {
  test.each<[unknown, Record<string, unknown> | undefined, number[]]>([
    [undefined, undefined, [0]],
    [[3, 0], { eos_token_id: [3, 0] }, [3, 0]],
    [5, { eos_token_id: [7, 6] }, [7, 6, 5, 0]],
    [[5, -1], { eos_token_id: null }, [5, 0]],
    [-1, { temperature: 0.5 }, [0]],
  ])('config.json %j and generation_config.json %j: %j', async (inConfig, generation, expected) => {
    const folder = await modelWith(inConfig, generation);
    expect((await loadTokenizer(folder)).endIds).toEqual(expected);
    expect((await loadTokenizer(await trained(folder))).endIds.toSorted()).toEqual(expected.toSorted());
  });

  test('values that mean nothing are named', async () => {
    const folder = await modelWith(0, { temperature: 'hot', eos_token_id: 'end' });
    await expect(loadTokenizer(folder)).rejects.toThrow(/generation_config\.json\.eos_token_id.*\n.*\n.*\.temperature/);
  });
});

describe('generation_config.json of a result', () => {
  const said = { eos_token_id: [3, 0], temperature: 0.6, top_p: 0.9, do_sample: true, cache_implementation: 'static' };

  test.each([trained, exported])('keeps all it had: %o', async (result) => {
    const folder = await result(await modelWith([3, 0], said));
    expect(await readJson(folder, 'generation_config.json')).toEqual(said);
    expect((await readJson(folder, 'config.json')).eos_token_id).toEqual([3, 0]);
  });

  test('has the token that training ended answers with; an export changes nothing', async () => {
    const folder = await modelWith([7], { ...said, eos_token_id: 7 });
    expect(await readJson(await trained(folder), 'generation_config.json')).toEqual({ ...said, eos_token_id: [7, 0] });
    expect(await readJson(await exported(folder), 'generation_config.json')).toEqual({ ...said, eos_token_id: 7 });
  });

  test('is made of the ids where the model has none', async () => {
    const folder = await trained(await modelWith([7], undefined));
    expect(await readJson(folder, 'generation_config.json')).toMatchObject({ eos_token_id: [7, 0], pad_token_id: 1 });
  });
});
