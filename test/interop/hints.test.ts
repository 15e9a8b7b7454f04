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

const index = `import json; json.dump({'metadata': {}, 'weight_map': {n: f for f in files for n in files[f]}}, open('pytorch_model.bin.index.json', 'w'))`;
const saved = {
  'in one file': `torch.save(w, 'pytorch_model.bin')`,
  'by the newest protocol': `torch.save(w, 'pytorch_model.bin', pickle_protocol=5)`,
  'as parameters of a module': `torch.save({n: torch.nn.Parameter(v) for n, v in w.items()}, 'pytorch_model.bin')`,
  'as parts of one tensor': `all = torch.cat([v.flatten() for v in w.values()]); at = [0]; torch.save({n: all[at[0]:(at.append(at.pop() + v.numel()) or at[0])].view(v.shape) for n, v in w.items()}, 'pytorch_model.bin')`,
  'in two files': `k = sorted(w); files = {f'pytorch_model-0000{i + 1}-of-00002.bin': k[i::2] for i in (0, 1)}; [torch.save({n: w[n] for n in files[f]}, f) for f in files]; ${index}`,
  'transposed and shared': `t = {n: v.t().contiguous().t() if v.dim() == 2 else v for n, v in w.items()}; t['lm_head.weight'] = t['model.embed_tokens.weight']; torch.save(t, 'pytorch_model.bin')`,
};
const old = `torch.save(w, 'pytorch_model.bin', _use_new_zipfile_serialization=False)`;

/** A Mix-LN model whose weights PyTorch has saved by this statement; `w` is its state dict. */
async function savedByTorch(folder: string, config: ModelConfig, save: string): Promise<void> {
  await writeModelDirectory(folder, { config, dtype: 'f32', read: randomWeights(config) });
  const code = `import torch; from safetensors.torch import load_file; w = load_file('model.safetensors'); ${save}`;
  await run(interpreter, ['-c', code], { cwd: folder });
  await rm(join(folder, 'model.safetensors'));
}

test.each(Object.entries(saved))('weights of torch.save are read as they are: %s', (name, save) =>
  inTemporaryFolder(async (folder) => {
    const config = name.includes('shared') ? { ...mix, tieWordEmbeddings: true } : mix;
    await savedByTorch(folder, config, save);
    await expectSameModel(folder, config);
  }),
);

test('the hint for weights of an old torch.save keeps a Mix-LN model', () =>
  inTemporaryFolder(async (folder) => {
    await savedByTorch(folder, mix, old);
    await followHint(folder);
    await expectSameModel(folder, mix);
  }));

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
