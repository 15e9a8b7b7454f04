import { access } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Problem, RequestError } from '../errors.ts';
import { readTextFile } from '../files.ts';
import { requireFreeSpace, writeFileAtomically } from './atomic.ts';
import { dtypeBytes } from './dtype.ts';
import { foreignDirectory } from './foreign-directory.ts';
import { maxHeaderBytes } from './safetensors-header.ts';
import { openSafetensors } from './safetensors-reader.ts';
import { type TensorSpec, writeSafetensors } from './safetensors-writer.ts';
import { isJsonObject, parseStrictJson } from './strict-json.ts';
import { elementCount, type StoredTensor, type TensorStore } from './tensor-store.ts';
import { openTorchFile } from './torch/torch-file.ts';

/** How transformers stores weights: in one file, or in several with an index that maps tensors to files. */
interface Form {
  single: string;
  index: string;
  extension: string;
  open(path: string): Promise<TensorStore>;
}

const safetensors: Form = {
  single: 'model.safetensors',
  index: 'model.safetensors.index.json',
  extension: '.safetensors',
  open: openSafetensors,
};
const torchFiles: Form = {
  single: 'pytorch_model.bin',
  index: 'pytorch_model.bin.index.json',
  extension: '.bin',
  open: openTorchFile,
};

/** The largest size of a shard in bytes, as in Hugging Face's writers. */
export const shardBytes = 5_000_000_000;

/**
 * The weights of a model directory: `model.safetensors`, the shards of `model.safetensors.index.json`, or the same of
 * torch.save.
 * @throws RequestError listing missing and disagreeing shards
 */
export async function openWeights(directory: string): Promise<TensorStore> {
  for (const form of [safetensors, torchFiles]) {
    const [single, index] = [join(directory, form.single), join(directory, form.index)];
    if (await isThere(single)) return form.open(single);
    if (await isThere(index)) return openShards(directory, index, form);
  }
  throw new RequestError(foreignDirectory(directory), directory);
}

async function openShards(directory: string, index: string, form: Form): Promise<TensorStore> {
  const shardOf = await readIndex(index, form);
  const files = [...new Set(shardOf.values())];
  const missing: string[] = [];
  for (const file of files) if (!(await isThere(join(directory, file)))) missing.push(file);
  if (missing.length > 0) {
    const message = `names ${files.length} files, of which ${missing.length} are missing: ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}`;
    throw new RequestError({ message, hint: 'the download or copy is not complete: run it again' }, index);
  }
  const problems: Problem[] = [];
  const shards = new Map<string, TensorStore>();
  for (const file of files) {
    try {
      shards.set(file, await form.open(join(directory, file)));
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      problems.push(
        ...error.problems.map((problem) => ({ ...problem, where: [file, problem.where].filter(Boolean).join(' ') })),
      );
    }
  }
  for (const [name, file] of shardOf) {
    const shard = shards.get(file);
    if (shard && !shard.tensors.has(name))
      problems.push({ where: name, message: `the index puts it in ${file}, which lacks it` });
  }
  for (const [file, shard] of shards) {
    for (const name of shard.tensors.keys()) {
      if (shardOf.get(name) !== file)
        problems.push({ where: name, message: `is in ${file}, but the index does not say so` });
    }
  }
  if (problems.length > 0) throw new RequestError(problems, index);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, file] of shardOf) tensors.set(name, shards.get(file)!.tensors.get(name)!);
  const shard = (name: string): TensorStore => {
    const file = shardOf.get(name);
    if (file === undefined) throw new RequestError({ where: name, message: 'there is no such tensor' }, index);
    return shards.get(file)!;
  };
  return {
    tensors,
    metadata: new Map([...shards.values()].flatMap(({ metadata }) => [...metadata])),
    readFloat32: async (name, into, from) => shard(name).readFloat32(name, into, from),
    fileOf: (name) => shard(name).fileOf(name),
    readBytes: async (name) => shard(name).readBytes(name),
  };
}

/** Tensor name → file name, from an index. File names must not lead outside its directory. */
async function readIndex(path: string, { extension }: Form): Promise<Map<string, string>> {
  const text = (await readTextFile(path, { limit: maxHeaderBytes })) ?? '';
  let json: unknown;
  try {
    json = parseStrictJson(text);
  } catch (error) {
    throw new RequestError(`is not usable JSON: ${(error as Error).message}`, path);
  }
  const map = isJsonObject(json) ? json.weight_map : undefined;
  if (!isJsonObject(map)) throw new RequestError('has no `weight_map` object', path);
  for (const [name, file] of Object.entries(map)) {
    if (typeof file === 'string' && basename(file) === file && file.endsWith(extension)) continue;
    const message = `${JSON.stringify(file)} is not the name of a ${extension} file beside the index`;
    throw new RequestError({ where: name, message }, path);
  }
  return new Map(Object.entries(map as Record<string, string>));
}

/**
 * Writes a model's weights into `directory` as one file, or as shards with an index if they exceed `limit` bytes.
 * `read` is called once for each tensor.
 */
export async function writeWeights(
  directory: string,
  tensors: readonly TensorSpec[],
  read: (name: string) => Promise<Float32Array | Uint8Array>,
  metadata: Readonly<Record<string, string>> = {},
  limit: number = shardBytes,
): Promise<void> {
  const shards = splitIntoShards(tensors, limit);
  if (shards.length === 1) return writeSafetensors(join(directory, safetensors.single), tensors, read, metadata);
  const total = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
  await requireFreeSpace(directory, total, 'the model');
  const weightMap: [string, string][] = [];
  for (const [index, shard] of shards.entries()) {
    const file = `model-${fiveDigits(index + 1)}-of-${fiveDigits(shards.length)}.safetensors`;
    await writeSafetensors(join(directory, file), shard, read, metadata);
    weightMap.push(...shard.map(({ name }): [string, string] => [name, file]));
  }
  const index = { metadata: { total_size: total }, weight_map: Object.fromEntries(weightMap) };
  await writeFileAtomically(join(directory, safetensors.index), `${JSON.stringify(index, null, 2)}\n`);
}

/** Groups consecutive tensors into shards of at most `limit` bytes, unless a single tensor is larger. */
function splitIntoShards(tensors: readonly TensorSpec[], limit: number): TensorSpec[][] {
  const shards: TensorSpec[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = byteLength(tensor);
    if (filled > 0 && filled + bytes > limit) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += bytes;
  }
  return shards;
}

function byteLength({ dtype, shape }: TensorSpec): number {
  return elementCount(shape) * dtypeBytes[dtype];
}

function fiveDigits(count: number): string {
  return String(count).padStart(5, '0');
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
