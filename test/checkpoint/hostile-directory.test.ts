import { execFileSync } from 'node:child_process';
import { cp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { requireMemory } from '../../src/checkpoint/memory.ts';
import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { writeWeights } from '../../src/checkpoint/sharded.ts';
import { RequestError } from '../../src/errors.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { RandomStream } from '../../src/random.ts';
import { folderWith, mix, refusal, specsOf, weightsOf, writeConfig } from './made-models.ts';
import { temporaryFolder } from './temporary.ts';

async function shardedFolder(): Promise<string> {
  const folder = await temporaryFolder();
  await writeConfig(folder, mix, {});
  await writeWeights(folder, specsOf(mix), weightsOf(mix), { norm: 'mix', post_layers: '2' }, 3000);
  return folder;
}

const parts = [
  'config.json',
  'generation_config.json',
  'model.safetensors.index.json',
  'model-00001-of-00004.safetensors',
];

describe.each(parts)('in the place of %s', (file) => {
  const put = async (place: (path: string) => Promise<unknown> | unknown): Promise<RequestError> => {
    const folder = await shardedFolder();
    expect(await readdir(folder)).toContain(parts[3]);
    await rm(join(folder, file), { force: true });
    await place(join(folder, file));
    const error = await refusal(folder);
    expect(error.message).toContain(file);
    return error;
  };

  test('a pipe that nobody writes to', async () => {
    expect((await put((path) => execFileSync('mkfifo', [path]))).message).toContain('is a pipe, not a file');
  });

  test('a device without end', async () => {
    expect((await put((path) => symlink('/dev/zero', path))).message).toContain('is a device, not a file');
  });

  test('a folder', async () => {
    expect((await put((path) => cp(import.meta.dirname, path, { recursive: true }))).message).toContain('is a folder');
  });

  test('text in UTF-16', async () => {
    await put((path) => writeFile(path, Buffer.from('\ufeff{"a": 1}', 'utf16le')));
  });

  test('brackets without end', async () => {
    await put((path) => writeFile(path, `{"a":${'['.repeat(1_000_000)}`));
  });
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ vocab_size: 2 ** 52, hidden_size: 2 ** 40 }, /embed_tokens\.weight.*has shape \[11,8\]/],
  [{ num_hidden_layers: 10_000 }, /num_hidden_layers: 10000, counted from 0, but the weights lack layers 3, 4, 5, …/],
  [{ intermediate_size: 2 ** 53 }, /intermediate_size: 9007199254740992; a whole number/],
  [{ num_attention_heads: 2 ** 30, num_key_value_heads: 2 ** 30, head_dim: 2 ** 30 }, /q_proj\.weight.*has shape/],
  [{ hidden_size: '2' }, /hidden_size: "2"/],
  [{ hidden_size: [8] }, /hidden_size: \[8\]/],
  [{ num_hidden_layers: 2.5 }, /num_hidden_layers: 2\.5/],
  [{ num_attention_heads: -4 }, /num_attention_heads: -4/],
  [{ rope_theta: true }, /rope_theta: true/],
  [{ post_layers: '2' }, /post_layers: "2"/],
  [{ norm: 'constructor' }, /norm: "constructor" is not one of/],
])('sizes of %j allocate nothing', async (json, says) => {
  const before = process.memoryUsage().rss;
  const error = await refusal(await folderWith(mix, json));
  expect(error.message).toMatch(says);
  expect(error.message.length).toBeLessThan(4000);
  expect(process.memoryUsage().rss - before).toBeLessThan(500e6);
});

test('weights larger than the memory are refused before they are read', () => {
  expect(() => requireMemory({ ...mix, vocabSize: 2 ** 40 }, 'model', { memory: 24e9 })).toThrow(
    /in model.*\n.*\n.*its weights take 70,369 GB in f32, and this machine has 24 GB of memory/,
  );
  requireMemory(mix, 'model', { memory: 24e9 });
});

const values = [
  'null',
  'true',
  '-1',
  '0',
  '1e999',
  'NaN',
  '"x"',
  '[]',
  '{}',
  '9007199254740993',
  '1.5',
  '"__proto__"',
  '"2"',
];

/** A JSON text with one to three of its parts replaced, doubled or left out. */
function mutated(text: string, random: RandomStream): string {
  const pieces = text.match(/"(?:[^"\\]|\\.)*"|-?[\d.eE+]+|true|false|null|[^"\d]/g)!;
  for (let change = 0; change <= random.integer(3); change++) {
    const place = random.integer(pieces.length);
    pieces[place] = random.pick([random.pick(values), '', pieces[place]! + pieces[place], random.pick(pieces)]);
  }
  return pieces.join('');
}

test('what is mutated is refused by an error of ours, or read as it was', async () => {
  const folder = await shardedFolder();
  const config: ModelConfig = (await readModelDirectory(folder)).config;
  for (const file of parts.filter((name) => name !== 'generation_config.json')) {
    const original = await readFile(join(folder, file));
    const isWeights = file.endsWith('.safetensors');
    const head = isWeights ? Number(original.readBigUInt64LE(0)) : 0;
    for (let seed = 0; seed < 150; seed++) {
      const random = new RandomStream(seed, file);
      const text = mutated(original.subarray(isWeights ? 8 : 0, isWeights ? 8 + head : undefined).toString(), random);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
      const bytes = isWeights
        ? Buffer.concat([length, Buffer.from(text), original.subarray(8 + head)])
        : Buffer.from(text);
      await writeFile(join(folder, file), bytes);
      const read = await readModelDirectory(folder).catch((error: unknown) => error);
      if (read instanceof Error) expect(read, `${file} ${seed}: ${read.stack}`).toBeInstanceOf(RequestError);
      else if (file !== 'config.json') expect((read as { config: ModelConfig }).config).toEqual(config);
    }
    await writeFile(join(folder, file), original);
  }
});
