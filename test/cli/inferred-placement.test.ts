import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { mix, post, weightsOf } from '../checkpoint/made-models.ts';
import { mixtune } from '../pipeline/command.ts';

/**
 * A language model and a reward model as the Mix-LN authors' code leaves them: nothing but the tensors' names says the
 * placement.
 */
let folder: string;
const guess = 'norm placement: mix (Post-LN in the first 2 of 3 layers, Pre-LN in the rest), from the tensor names';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-inferred-'));
  const tokenizer = trainTokenizer(['the cat sat on the mat and the dog sat on the log'], { vocabSize: 270 });
  const config: ModelConfig = { ...mix, vocabSize: tokenizer.vocabSize, maxLength: 512 };
  await writeUnsaid('model', config);
  await writeUnsaid('scorer', { ...config, head: 'score' });
  await writeUnsaid('post', { ...config, norm: post.norm });
  await writeFile(join(folder, 'rows.json'), JSON.stringify([{ instruction: 'Say hi.', input: '', output: 'Hi.' }]));
  await writeFile(join(folder, 'words.txt'), 'the cat sat on the mat and the dog sat on the log. '.repeat(20));

  async function writeUnsaid(name: string, shape: ModelConfig): Promise<void> {
    const directory = join(folder, name);
    await mkdir(directory);
    const { eosId, padId } = tokenizer;
    const ids = { eosIds: [eosId!], padId: shape.head ? 0 : padId };
    await writeModelDirectory(directory, { config: shape, read: weightsOf(shape), dtype: 'f32', tokenizer, ...ids });
    const path = join(directory, 'config.json');
    const { norm: _, post_layers: __, auto_map: ___, ...json } = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...json, model_type: 'llama' }));
    await writeFile(join(directory, 'LICENSE.md'), 'terms');
    await writeFile(join(directory, 'README.md'), 'card');
    const weights = await openSafetensors(join(directory, 'model.safetensors'));
    const values = new Map<string, Float32Array>();
    for (const tensor of weights.tensors.keys()) values.set(tensor, await weights.readFloat32(tensor));
    const specs = [...weights.tensors.values()];
    await writeSafetensors(join(directory, 'model.safetensors'), specs, async (tensor) => values.get(tensor)!);
  }
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  [['inspect', 'model']],
  [['generate', 'model', '--prompt', 'the', '--max-new-tokens', '1']],
  [['export', 'model', '--out', 'exported']],
  [['score', 'scorer', '--data', 'rows.json']],
  [['evaluate', 'model', '--tasks', 'perplexity', '--text', 'words.txt', '--window', '16']],
  [['sft', '--from', 'model', '--data', 'rows.json', '--steps', '1', '--out', 'tuned']],
])('%j says what was guessed', async (args) => {
  const { status, stdout, stderr } = await mixtune(folder, ...args);
  expect(stdout + stderr).toContain(guess);
  expect(status, stderr).toBe(0);
});

it('what names leave open is asked for once before anything is trained, and never after it was said', async () => {
  const out = await mixtune(folder, 'sft', '--from', 'post', '--data', 'rows.json', '--steps', '1', '--out', 'none');
  expect(out.status).toBe(2);
  expect(out.stderr).toMatch(/--from.*the files do not say whether it is post or deepnorm(.|\n)*--norm post\|deepnorm/);
  const exported = await mixtune(folder, 'export', 'post', '--norm', 'deepnorm', '--dtype', 'f32', '--out', 'said');
  expect(exported.status, exported.stderr).toBe(0);
  const json = JSON.parse(await readFile(join(folder, 'said', 'config.json'), 'utf8'));
  expect(json).toMatchObject({ model_type: 'mixln', norm: 'deepnorm', deepnorm_alpha: 6 ** 0.25 });
  expect((await mixtune(folder, 'inspect', 'said')).stdout).not.toContain('guess');
  const read = await mixtune(folder, 'generate', 'post', '--prompt', 'the', '--max-new-tokens', '1');
  expect(read.stderr).toContain('norm placement: post (Post-LN in all 3 layers), a guess:');
});

it('an export takes the terms of the model along, and nothing else that is not read', async () => {
  expect(await readFile(join(folder, 'exported', 'LICENSE.md'), 'utf8')).toBe('terms');
  expect(await readdir(join(folder, 'exported'))).not.toContain('README.md');
});

it('what is written says it', async () => {
  for (const name of ['exported', 'tuned/final']) {
    const config = JSON.parse(await readFile(join(folder, name, 'config.json'), 'utf8'));
    expect(config).toMatchObject({ model_type: 'mixln', norm: 'mix', post_layers: 2 });
  }
});
