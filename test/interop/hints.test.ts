import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { readModelDirectory, writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors-reader.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import { RequestError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { interpreter } from './environment.ts';
import { inTemporaryFolder, randomWeights, tinyConfig } from './tiny-models.ts';

const run = promisify(execFile);
const mix: ModelConfig = { ...tinyConfig, norm: { name: 'mix', settings: { postLayers: 1 } } };

/** The command of a refusal's hint, run in the folder as a person would, with this project's Python. */
async function followHint(directory: string): Promise<void> {
  const error = await readModelDirectory(directory).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RequestError);
  const command = /python -c "[^"]*"( && mv \S+ [^\s,]+)?/.exec((error as RequestError).problems[0]!.hint!)![0];
  const PATH = [dirname(interpreter), process.env.PATH].join(delimiter);
  await run('bash', ['-c', command], { cwd: directory, env: { ...process.env, PATH } });
}

async function expectSameModel(directory: string, config: ModelConfig): Promise<void> {
  const model = await readModelDirectory(directory);
  expect(model.config).toEqual(config);
  for (const { name } of checkpointTensors(config)) {
    expect(await model.read(name)).toEqual(await randomWeights(config)(name));
  }
}

const pickles = {
  'in one file': `torch.save(w, 'pytorch_model.bin')`,
  'in two files': `k = sorted(w); [torch.save({n: w[n] for n in k[i::2]}, f'pytorch_model-0000{i + 1}-of-00002.bin') for i in (0, 1)]`,
  'transposed and shared': `t = {n: v.t().contiguous().t() if v.dim() == 2 else v for n, v in w.items()}; t['lm_head.weight'] = t['model.embed_tokens.weight']; torch.save(t, 'pytorch_model.bin')`,
};

test.each(Object.entries(pickles))('the hint for pickled weights keeps a Mix-LN model: %s', (name, save) =>
  inTemporaryFolder(async (folder) => {
    const config = name.includes('shared') ? { ...mix, tieWordEmbeddings: true } : mix;
    await writeModelDirectory(folder, { config, dtype: 'f32', read: randomWeights(config) });
    const code = `import torch; from safetensors.torch import load_file; w = load_file('model.safetensors'); ${save}`;
    await run(interpreter, ['-c', code], { cwd: folder });
    await rm(join(folder, 'model.safetensors'));
    await followHint(folder);
    await expectSameModel(folder, config);
  }),
);

test.each<[string, (name: string) => string]>([
  ['torch.compile', (name) => `_orig_mod.${name}`],
  ['torch.compile of layers', (name) => name.replace('.self_attn', '._orig_mod.self_attn')],
  ['DDP', (name) => `module.${name}`],
  ['PEFT', (name) => `base_model.model.${name}`],
  ['model twice', (name) => `model.${name}`],
  ['AutoModel', (name) => name.replace(/^model\./, '')],
])('the hint for the names of %s renames them', (_, rename) =>
  inTemporaryFolder(async (folder) => {
    const whole = join(folder, 'whole');
    await mkdir(whole);
    await writeModelDirectory(whole, { config: mix, dtype: 'f32', read: randomWeights(mix) });
    const { tensors } = await openSafetensors(join(whole, 'model.safetensors'));
    const original = new Map([...tensors.values()].map((tensor) => [rename(tensor.name), tensor]));
    const renamed = [...original].map(([name, tensor]) => ({ ...tensor, name }));
    const read = (name: string) => randomWeights(mix)(original.get(name)!.name);
    await writeSafetensors(join(folder, 'model.safetensors'), renamed, read);
    await writeFile(join(folder, 'config.json'), await readFile(join(whole, 'config.json')));
    await followHint(folder);
    await expectSameModel(folder, mix);
  }),
);
