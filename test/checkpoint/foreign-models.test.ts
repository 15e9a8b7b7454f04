import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inspectFile } from '../../src/checkpoint/inspect.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { userDirectory } from '../../src/pipeline/user-directory.ts';
import { folderWith, mix, pre, refusal, writeConfig } from './made-models.ts';
import { temporaryFolder } from './temporary.ts';

/** What a person is told who gives this folder as a model. */
function told(folder: string): string {
  const found = userDirectory(folder, 'model', '/');
  expect(found.problem, 'no model directory').toBeDefined();
  return `${found.problem!.message} → ${found.problem!.hint}`;
}

async function folderOf(...files: string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const file of files) {
    await mkdir(join(folder, file, '..'), { recursive: true });
    await writeFile(join(folder, file), '');
  }
  return folder;
}

describe('a folder that holds something else', () => {
  test.each<[string[], RegExp]>([
    [['adapter_config.json', 'adapter_model.safetensors'], /an adapter of PEFT .*not a whole model → merge it: python/],
    [['smollm2.Q4_1.gguf'], /a GGUF model \(smollm2\.Q4_1\.gguf\).* → .*f = 'smollm2\.Q4_1\.gguf'/],
    [['pytorch_model.bin'], /holds weights but no config\.json/],
    [['model.pt'], /pickled weights \(model\.pt\).*torch\.load\(f.*weights_only=True\)/],
    [['params.json', 'consolidated.00.pth'], /makers' own code .* → .*convert_llama_weights_to_hf/],
    [['consolidated.safetensors', 'params.json'], /makers' own code/],
    [['model.onnx'], /an ONNX model/],
    [['tf_model.h5'], /a TensorFlow model/],
    [['flax_model.msgpack'], /a Flax model/],
    [['model_index.json', 'unet/config.json'], /is a pipeline of diffusers/],
    [['modules.json', '0_Transformer/config.json'], /is a model of sentence-transformers/],
    [['zero_to_fp32.py', 'global_step10/x.pt'], /a checkpoint of DeepSpeed.* → .*zero_to_fp32\.py/],
    [['.cache/huggingface/download/abc.incomplete'], /unfinished download .* → run the download again/],
    [['model.safetensors', 'tokenizer.json'], /holds weights but no config\.json/],
    [['pre/seed-1/final/config.json'], /holds no config\.json → give .*\/pre\/seed-1\/final, which does/],
    [
      ['checkpoint-500/config.json', 'checkpoint-1000/config.json', 'training_args.bin'],
      /give one of the 2 folders that do, such as .*\/checkpoint-1000/,
    ],
    [['sft/mix/seed-1/final/config.json', 'plan.json'], /give .*\/sft\/mix\/seed-1\/final, which does/],
    [['snapshots/0123abcd/config.json', 'refs/main'], /give .*\/snapshots\/0123abcd/],
    [[], /is empty/],
    [['notes.txt'], /holds no config\.json → a model directory in Hugging Face's layout/],
  ])('%j', async (files, says) => {
    expect(told(await folderOf(...files))).toMatch(says);
  });

  test('and lies below a model', async () => {
    const folder = await folderOf('config.json', 'onnx/notes.txt');
    expect(told(join(folder, 'onnx'))).toContain(`give ${folder}, which does`);
  });

  test.each<[string[], RegExp]>([
    [['pytorch_model-00001-of-00002.bin'], /without pytorch_model\.bin\.index\.json/],
    [['model.fp16.safetensors'], /has no model\.safetensors, but model\.fp16\.safetensors/],
    [['model-00001-of-00002.safetensors'], /without model\.safetensors\.index\.json/],
    [['model.gguf'], /a GGUF model/],
    [['model.safetensors.incomplete'], /unfinished download/],
    [['rust_model.ot'], /a model in another form/],
    [['checkpoint-20/config.json'], /has no weights: .*\n.*give .*checkpoint-20, which does/],
  ])('beside a config.json: %j', async (files, says) => {
    const folder = await folderOf(...files);
    await writeConfig(folder, pre, {});
    expect((await refusal(folder)).message).toMatch(says);
  });

  test('an adapter beside whole weights is not passed over', async () => {
    const folder = await folderWith(pre, {});
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    expect((await refusal(folder)).message).toMatch(/beside the weights, which changes what they compute[\s\S]*move/);
  });

  test('weights that are a link to nothing', async () => {
    const folder = await folderOf('notes.txt');
    await writeConfig(folder, pre, {});
    await symlink('/nowhere/blob', join(folder, 'model.safetensors'));
    expect((await refusal(folder)).message).toMatch(/a link to nothing/);
  });
});

describe('a path that is no folder', () => {
  test.each([
    ['HuggingFaceTB/SmolLM2-135M-Instruct'],
    ['./HuggingFaceTB/SmolLM2-135M-Instruct'],
    ['https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct'],
    ['https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct/tree/main'],
  ])('the name of a model on the hub: %s', (path) => {
    const { problem } = userDirectory(path, 'model', '/nowhere');
    expect(problem!.message).toBe('there is no folder HuggingFaceTB/SmolLM2-135M-Instruct');
    expect(problem!.hint).toContain(
      '`hf download HuggingFaceTB/SmolLM2-135M-Instruct --local-dir SmolLM2-135M-Instruct`',
    );
  });

  test.each([['checkpoints/sft'], ['../models/a'], ['/a/b/c'], ['~/model']])('no name on the hub: %s', (path) => {
    expect(userDirectory(path, 'model', '/nowhere').problem).toEqual({
      message: `${path} does not exist`,
      hint: expect.stringContaining('a model directory is expected'),
    });
  });

  const files: Record<string, [content: Buffer, says: RegExp, inspected?: RegExp]> = {
    'm.gguf': [Buffer.from('GGUF\x03\0\0\0\x10\x01\0\0\0\0\0\0'), /a GGUF file, of llama\.cpp/],
    'm.bin': [Buffer.from('PK\x03\x04archive/data.pkl'), /a zip archive, as PyTorch/, /no end of a zip archive/],
    'pytorch_model.bin': [Buffer.from('PK\x03\x04archive/data.pkl'), /a file of a model/, /no end of a zip archive/],
    'm.pt': [Buffer.from('\x80\x02}q\x00(X\x01'.padEnd(40), 'latin1'), /a Python pickle/],
    'm.h5': [Buffer.from('\x89HDF\r\n\x1a\n'.padEnd(40), 'latin1'), /an HDF5 file/],
    'model.safetensors': [Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /a Git LFS pointer/],
    'page.safetensors': [Buffer.from('<!DOCTYPE html><html>'), /a web page/],
  };
  test.each(Object.entries(files))('%s is told by its first bytes', async (name, [content, says, inspected = says]) => {
    const path = join(await temporaryFolder(), name);
    await writeFile(path, content);
    expect(userDirectory(path, 'model', '/').problem!.message).toMatch(says);
    await expect(inspectFile(path)).rejects.toThrow(inspected);
  });

  test('a file of a model, not its folder', async () => {
    const folder = await folderWith(pre, {});
    const { problem } = userDirectory(join(folder, 'model.safetensors'), 'model', '/');
    expect(problem!.message).toMatch(/is a file of a model/);
    expect(problem!.hint).toContain(`give its folder, ${folder}`);
  });

  test('a pointer of Git LFS and a web page in the place of config.json', async () => {
    const folder = await folderOf();
    await writeFile(join(folder, 'config.json'), 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
    await expect(readModelDirectory(folder)).rejects.toThrow(/config\.json[\s\S]*is a Git LFS pointer/);
    await writeFile(join(folder, 'config.json'), '<html><body>Sign in</body></html>');
    await expect(readModelDirectory(folder)).rejects.toThrow(/config\.json[\s\S]*is a web page/);
  });
});

describe('names of tensors that others give', () => {
  const renamed = (rename: (name: string) => string, config = pre) =>
    folderWith(config, {}, { rename: (name) => [rename(name)] });

  test.each<[string, (name: string) => string, RegExp]>([
    ['torch.compile', (name) => `_orig_mod.${name}`, /all 30 names hold `_orig_mod\.`, which torch\.compile adds/],
    [
      'torch.compile, in parts',
      (name) => name.replace('.self_attn', '._orig_mod.self_attn'),
      /12 of 30 names hold `_orig/,
    ],
    ['DDP', (name) => `module.${name}`, /`module\.`, which DistributedDataParallel/],
    ['DDP around torch.compile', (name) => `module._orig_mod.${name}`, /`_orig_mod\.`/],
    ['PEFT', (name) => `base_model.model.${name}`, /`base_model\.model\.`, which PEFT[\s\S]*merge_and_unload/],
    ['PEFT, not merged', (name) => `base_model.model.${name.replace('q_proj', 'q_proj.base_layer')}`, /save it merged/],
    ['FSDP', (name) => `_fsdp_wrapped_module.${name}`, /FullyShardedDataParallel/],
    ['checkpointing', (name) => name.replace('.mlp', '._checkpoint_wrapped_module.mlp'), /activation checkpointing/],
    ['twice', (name) => `model.${name}`, /names begin with `model\.` twice/],
    ['AutoModel', (name) => name.replace(/^model\./, ''), /names lack `model\.`, as AutoModel saves a decoder/],
    [
      'Meta',
      (name) => name.replace(/^model\.embed_tokens/, 'tok_embeddings').replace(/^model\.layers/, 'layers'),
      /Meta's own/,
    ],
    ['images and text', (name) => `language_model.${name}`, /a model of several parts/],
    ['GPT-2', (name) => name.replace(/^model\.layers/, 'transformer.h'), /another architecture/],
  ])('%s', async (_, rename, says) => {
    const error = await refusal(await renamed(rename));
    expect(error.problems).toHaveLength(1);
    expect(error.message).toMatch(says);
  });

  test('a decoder without its head', async () => {
    const rename = (name: string) => (name === 'lm_head.weight' ? [] : [name.replace(/^model\./, '')]);
    const error = await refusal(await folderWith(mix, {}, { rename }));
    expect(error.message).toMatch(/names lack `model\.` and there is no lm_head\.weight/);
  });

  test.each<[string, string[], RegExp]>([
    ['q_proj', ['q_proj.bias', 'k_proj.bias', 'v_proj.bias'], /self_attn\.v_proj\.bias \(9 tensors\).*\n.*as in Qwen2/],
    ['q_proj', ['q_norm.weight'], /self_attn\.q_norm\).*\n.*as in Qwen3/],
    ['q_proj', ['q_proj.lora_A.weight'], /an adapter of PEFT/],
    ['q_proj', ['q_proj.weight_scale'], /quantised weights are not supported/],
  ])('beside %s: %j in one line', async (beside, more, says) => {
    const rename = (name: string) =>
      name.includes(beside) ? [name, ...more.map((tensor) => name.replace(`${beside}.weight`, tensor))] : [name];
    const error = await refusal(await folderWith(pre, {}, { rename }));
    expect(error.problems).toHaveLength(1);
    expect(error.message).toMatch(says);
  });

  test('layers more or less than the config says', async () => {
    expect((await refusal(await folderWith(pre, { num_hidden_layers: 2 }))).message).toMatch(
      /num_hidden_layers: 2, counted from 0, but the weights also have layer 2\n/,
    );
    expect((await refusal(await folderWith(pre, { num_hidden_layers: 9 }))).message).toMatch(
      /num_hidden_layers: 9, counted from 0, but the weights lack layers 3, 4, 5, …/,
    );
  });
});
