import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Problem, RequestError } from '../errors.ts';
import { readTextFile } from '../files.ts';
import type { ModelConfig } from '../model/config.ts';
import { writtenPlacement } from '../model/norm.ts';
import { checkpointTensors } from '../model/parameters.ts';
import { writeFileAtomically } from './atomic.ts';
import { checkTensors } from './check-tensors.ts';
import { isFloatDtype } from './dtype.ts';
import { foreignFormat, signatureBytes } from './file-formats.ts';
import { readFinite } from './finite.ts';
import { adapterProblem, foreignDirectory } from './foreign-directory.ts';
import {
  buildGenerationConfig,
  buildHfConfig,
  type ModelExtra,
  parseHfConfig,
  type WeightDtype,
  type WrittenExtra,
} from './hf-config.ts';
import { copyCode } from './model-code.ts';
import { normKindIn } from './norm-kind.ts';
import { agreedPlacement } from './placement.ts';
import { openWeights, writeWeights } from './sharded.ts';
import { isJsonObject, parseStrictJson } from './strict-json.ts';
import { elementCount, type TensorStore } from './tensor-store.ts';

/** A Hugging Face model directory whose config and tensors have been checked against each other. */
export interface ModelDirectory {
  config: ModelConfig;
  /** Sentences for the user: what the files do not say and was inferred, and what they say and nothing reads. */
  notes: readonly string[];
  extra: ModelExtra;
  /** `__metadata__` of the weight file. */
  metadata: ReadonlyMap<string, string>;
  /**
   * Any tensor of `checkpointTensors(config)` as float32, in `into` where it is given.
   * @throws RequestError where it holds NaN or infinity: everything computed from it would
   */
  read(name: string, into?: Float32Array, from?: number): Promise<Float32Array>;
}

/** How the norm placement of a model is settled whose files do not state it. */
export interface PlacementOptions {
  /** The placement's name, as a person says it. */
  norm?: string | undefined;
  /** Refuse the model where the names of its tensors leave a choice, instead of guessing. */
  certain?: boolean;
}

/**
 * Reads the config and the tensor list of a model directory; the tensors themselves are read by `read`.
 * @throws RequestError listing everything unsupported, missing, unexpected, misshapen or contradictory
 */
export async function readModelDirectory(
  directory: string,
  { norm: said, certain }: PlacementOptions = {},
): Promise<ModelDirectory> {
  const problems: Problem[] = [];
  const configPath = join(directory, 'config.json');
  const adapter = adapterProblem(directory);
  if (adapter) throw new RequestError(adapter, directory);
  const json = await readJson(configPath);
  const parsed = parseHfConfig(json, await readJson(join(directory, 'generation_config.json'), {}), problems);
  if (!parsed) throw new RequestError(problems, configPath);
  const weights = await openWeights(directory);
  const { notes } = parsed;
  const isPlain = parsed.extra.modelType !== 'mixln' && !existsSync(join(directory, trainerState));
  const shape = { ...parsed.shape, ...normKindIn(weights, json, problems) };
  const norm = agreedPlacement({ stated: parsed.norm, said, isPlain, certain }, weights, shape, notes, problems);
  if (!norm) throw new RequestError(problems, directory);
  const config: ModelConfig = { ...shape, norm };
  checkTensors(config, weights, problems);
  if (problems.length > 0) throw new RequestError(problems, directory);
  await checkTiedHead(config, weights, directory);
  return {
    config,
    notes,
    extra: parsed.extra,
    metadata: weights.metadata,
    read: (name, into, from) => readFinite(weights, name, into, from),
  };
}

/**
 * What the trainer of the authors of Mix-LN and LayerNorm Scaling leaves beside models of every placement, each with a
 * config.json as of a plain Llama.
 */
const trainerState = 'training_state.json';

async function readJson(path: string, whenMissing?: Record<string, unknown>): Promise<Record<string, unknown>> {
  const text = await readTextFile(path);
  if (text === undefined) {
    if (whenMissing) return whenMissing;
    throw new RequestError({ ...foreignDirectory(dirname(path)) }, dirname(path));
  }
  const format = foreignFormat(Buffer.from(text.slice(0, signatureBytes)), path);
  if (format) throw new RequestError({ message: `is ${format.name}`, hint: format.hint }, path);
  try {
    const json = parseStrictJson(text);
    if (isJsonObject(json)) return json;
  } catch (error) {
    throw new RequestError(`is not usable JSON: ${(error as Error).message}`, path);
  }
  throw new RequestError('is not usable JSON: an object is needed', path);
}

/** A head that is written although it is tied must be the embedding. */
async function checkTiedHead(config: ModelConfig, weights: TensorStore, directory: string): Promise<void> {
  const head = 'lm_head.weight';
  const info = weights.tensors.get(head);
  if (!config.tieWordEmbeddings || !info) return;
  const elements = elementCount(info.shape);
  const isSame = elements === config.vocabSize * config.hiddenSize && isFloatDtype(info.dtype);
  if (isSame && (await isEqual(weights, head, 'model.embed_tokens.weight', elements))) return;
  throw new RequestError(
    {
      where: head,
      message: 'differs from model.embed_tokens.weight, but config.json says that they are tied',
      hint: 'set "tie_word_embeddings": false to keep the head, or delete it from the weights',
    },
    directory,
  );
}

/** Are two tensors of so many elements the same, bit for bit? A part of them is in memory at a time. */
async function isEqual(weights: TensorStore, nameA: string, nameB: string, elements: number): Promise<boolean> {
  for (let from = 0; from < elements; from += elementsAtOnce) {
    const length = Math.min(elementsAtOnce, elements - from);
    const a = await weights.readFloat32(nameA, new Float32Array(length), from);
    const b = await weights.readFloat32(nameB, new Float32Array(length), from);
    if (!a.every((value, i) => Object.is(value, b[i]))) return false;
  }
  return true;
}

const elementsAtOnce = 1 << 22;

export interface ModelToWrite extends WrittenExtra {
  config: ModelConfig;
  /** A tensor of `checkpointTensors(config)`, row-major; asked once for each. */
  read(name: string): Promise<Float32Array>;
  dtype: WeightDtype;
  tokenizer?: { save(directory: string): Promise<void> };
}

/**
 * Writes a model into an existing (empty) directory so that transformers 4.57 and 5 load it, and opens it again to see
 * that it is what `readModelDirectory` accepts.
 */
export async function writeModelDirectory(directory: string, model: ModelToWrite): Promise<void> {
  const { config } = model;
  const dtype = ({ f32: 'F32', bf16: 'BF16', f16: 'F16' } as const)[model.dtype];
  const tensors = checkpointTensors(config).map(({ name, shape }) => ({ name, shape, dtype }));
  const stated = Object.entries(writtenPlacement(config));
  const metadata = Object.fromEntries(stated.map(([key, value]) => [key, String(value)]));
  await writeWeights(directory, tensors, (name) => model.read(name), metadata);
  await model.tokenizer?.save(directory);
  if (config.head !== 'score') await writeJson(join(directory, 'generation_config.json'), buildGenerationConfig(model));
  const json = buildHfConfig(config, model, model.dtype);
  await copyCode(json, directory);
  await writeJson(join(directory, 'config.json'), json);
  await readModelDirectory(directory);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);
}
