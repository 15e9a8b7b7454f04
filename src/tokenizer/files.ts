import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RequestError } from '../errors.ts';
import { readRegularFile } from '../files.ts';

/** Limit on the size of a file in bytes; the largest known tokenizer.json has 33 MB. */
const largestFile = 256 * 2 ** 20;

/** A tokenizer's files by name, as bytes. */
export type TokenizerFiles = ReadonlyMap<string, Uint8Array>;

/** The files of a tokenizer in a Hugging Face directory; all but the first are optional. */
const fileNames = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
] as const;

/** Reads a tokenizer's files. @throws RequestError if there is no tokenizer.json or a file cannot be read */
export async function readTokenizerFiles(directory: string): Promise<TokenizerFiles> {
  const files = await filesPresent(directory, [...fileNames, ...(await namedTemplates(directory))]);
  if (files.has('tokenizer.json')) return files;
  throw new RequestError({
    message: 'there is no tokenizer.json',
    where: directory,
    hint: files.has('tokenizer.model')
      ? "it has only SentencePiece's tokenizer.model; save it with transformers' AutoTokenizer to get a tokenizer.json"
      : 'name a directory with a Hugging Face tokenizer, or train one with `mixtune tokenizer`',
  });
}

/** The files of a model in the same directory that say how its texts end; they are not part of the tokenizer. */
export const readModelSettings = (directory: string): Promise<TokenizerFiles> =>
  filesPresent(directory, ['config.json', 'generation_config.json']);

/** Folder of the chat templates other than the default one. */
export const templateFolder = 'additional_chat_templates';

/** Paths of the chat templates other than the default one. */
async function namedTemplates(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, templateFolder)).catch(() => []);
  return names
    .filter((name) => name.endsWith('.jinja'))
    .sort()
    .map((name) => `${templateFolder}/${name}`);
}

async function filesPresent(directory: string, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of names) {
    const bytes = await readRegularFile(join(directory, name), largestFile, name);
    if (bytes !== undefined) files.set(name, bytes);
  }
  return files;
}

export async function writeTokenizerFiles(files: TokenizerFiles, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [name, bytes] of files) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), bytes);
  }
}

/** SHA-256 over names, lengths and bytes. */
export function fingerprintOf(files: TokenizerFiles): string {
  const hash = createHash('sha256');
  for (const [name, bytes] of files) hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
}
