import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadModel, saveModel } from '../../src/checkpoint/load-model.ts';
import { readModelDirectory, writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { loadRewardModel, rewardModelFrom } from '../../src/checkpoint/reward-model.ts';
import { openWeights } from '../../src/checkpoint/sharded.ts';
import { RequestError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { loadTokenizer } from '../../src/tokenizer/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { folderWith, mix, pre, refusal, weightsOf } from './made-models.ts';
import { temporaryFolder } from './temporary.ts';

const backend = new PortableBackend('f64');
const scoring = (config: ModelConfig): ModelConfig => ({ ...config, head: 'score' });

async function writtenFolder(config: ModelConfig, rewardOffset?: number): Promise<string> {
  const folder = await temporaryFolder();
  await writeModelDirectory(folder, {
    config,
    read: weightsOf(config),
    dtype: 'f32',
    eosIds: [2],
    padId: 1,
    rewardOffset,
  });
  return folder;
}

const readConfig = async (folder: string) => JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));

/** What a person is told. */
async function told(promise: Promise<unknown>): Promise<string> {
  const error = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RequestError);
  return (error as RequestError).message;
}

describe('a reward model', () => {
  test.each([pre, mix])('with norm $norm.name is written as sequence classification and read again', async (config) => {
    const folder = await writtenFolder(scoring(config), 0.1 + 0.2);
    const family = config.norm.name === 'pre' ? 'Llama' : 'MixLN';
    expect(await readConfig(folder)).toMatchObject({
      architectures: [`${family}ForSequenceClassification`],
      num_labels: 1,
      pad_token_id: 1,
      eos_token_id: 2,
      reward_offset: 0.1 + 0.2,
    });
    const { tensors } = await openWeights(folder);
    expect(tensors.get('score.weight')?.shape).toEqual([1, config.hiddenSize]);
    expect(tensors.has('lm_head.weight')).toBe(false);

    const reward = await loadRewardModel(folder, backend);
    expect(reward.model.config).toEqual(scoring(config));
    expect(reward.offset).toBe(0.1 + 0.2);
    expect(Float32Array.from(await backend.read(reward.score))).toEqual(
      await weightsOf(scoring(config))('score.weight'),
    );
  });

  test('that says nothing of an offset has none', async () => {
    const json = { architectures: ['LlamaForSequenceClassification'], num_labels: 1 };
    const folder = await folderWith(scoring(pre), json);
    expect((await loadRewardModel(folder, backend)).offset).toBe(0);
  });

  test('without its head is refused, not given a fresh one', async () => {
    const json = { architectures: ['LlamaForSequenceClassification'], num_labels: 1 };
    const folder = await folderWith(scoring(pre), json, { rename: (name) => (name === 'score.weight' ? [] : [name]) });
    const { problems } = await refusal(folder);
    expect(problems).toMatchObject([{ where: 'score.weight', message: 'is missing; [1,8] is expected' }]);
  });

  test.each([
    [{ num_labels: 3 }, 'num_labels'],
    [{}, 'num_labels'],
    [{ num_labels: 1, reward_offset: 'much' }, 'reward_offset'],
  ])('with %j is refused', async (json, where) => {
    const folder = await folderWith(scoring(pre), { architectures: ['LlamaForSequenceClassification'], ...json });
    expect((await refusal(folder)).problems).toMatchObject([{ where }]);
  });

  test('is no language model, nor the reverse', async () => {
    const [language, reward] = [await writtenFolder(pre), await writtenFolder(scoring(pre))];
    expect(await told(loadModel(reward, backend))).toMatch(/is a reward model \(LlamaForSequenceClassification\)/);
    expect(await told(rewardModelFrom(reward, backend, 1))).toMatch(/is a reward model/);
    expect(await told(loadRewardModel(language, backend))).toMatch(/is a language model \(LlamaForCausalLM\)/);
  });

  test('takes the decoder of a language model, tied or not, and a head drawn from N(0, 1/(d+1))', async () => {
    const wide = { ...pre, hiddenSize: 4096, layers: 1, tieWordEmbeddings: true };
    const folder = await writtenFolder(wide);
    const model = await rewardModelFrom(folder, backend, 1);
    const { read } = await readModelDirectory(folder);
    const embedding = await backend.read(model.parameters.get('model.embed_tokens.weight')!);
    expect(Float32Array.from(embedding)).toEqual(await read('model.embed_tokens.weight'));
    const head = await backend.read(model.parameters.get('score.weight')!);
    const variance = Array.from(head).reduce((sum, weight) => sum + weight ** 2, 0) / head.length;
    expect(Math.abs(variance * 4097 - 1)).toBeLessThan(0.1);
    expect(model.parameters.has('lm_head.weight')).toBe(false);
  });
});

describe('the token that rows are padded with', () => {
  const config = scoring({ ...pre, vocabSize: 300 });

  async function saved(tokenizer: Tokenizer): Promise<{ padId: number; tokenizer: Tokenizer }> {
    const source = await temporaryFolder();
    await writeModelDirectory(source, { config, read: weightsOf(config), dtype: 'f32' });
    const { model } = await loadRewardModel(source, backend);
    const folder = await temporaryFolder();
    await saveModel(folder, model, { tokenizer });
    return { padId: (await readConfig(folder)).pad_token_id, tokenizer: await loadTokenizer(folder) };
  }

  /** A tokenizer whose settings are changed as others leave them. */
  async function tokenizerWith(settings: Record<string, unknown>): Promise<Tokenizer> {
    const folder = await temporaryFolder();
    await trainTokenizer(['the mill is old'], { vocabSize: 280 }).save(folder);
    const path = join(folder, 'tokenizer_config.json');
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...settings }));
    return loadTokenizer(folder);
  }

  test("is the tokenizer's own", async () => {
    const own = trainTokenizer(['the mill is old'], { vocabSize: 280 });
    const { padId, tokenizer } = await saved(own);
    expect(padId).toBe(own.padId);
    expect(tokenizer.fingerprint).toBe(own.fingerprint);
  });

  test('is another one where the tokenizer pads with the end token, in its own settings too', async () => {
    const { padId, tokenizer } = await saved(await tokenizerWith({ pad_token: '<|end|>' }));
    expect(tokenizer.eosId).toBe(tokenizer.tokenToId('<|end|>'));
    expect(padId).toBe(tokenizer.tokenToId('<|pad|>'));
    expect(tokenizer.padId).toBe(padId);
  });
});
