import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Problem, RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { checkpointTensors } from '../model/parameters.ts';
import { writeFileAtomically } from './atomic.ts';
import { isFloatDtype } from './dtype.ts';
import { readFinite } from './finite.ts';
import {
  buildGenerationConfig,
  buildHfConfig,
  type ModelExtra,
  parseHfConfig,
  type WeightDtype,
  type WrittenExtra,
} from './hf-config.ts';
import { describePlacement, inferPlacement, type PlacementClaim, parseClaim } from './placement.ts';
import type { TensorStore } from './safetensors-reader.ts';
import { openWeights, writeWeights } from './sharded.ts';
import { isJsonObject, parseStrictJson } from './strict-json.ts';

/** A Hugging Face model directory whose config and tensors have been checked against each other. */
export interface ModelDirectory {
  config: ModelConfig;
  /** Sentences for the user: what was not written in the files and was inferred. */
  inferred: string[];
  extra: ModelExtra;
  /** `__metadata__` of the weight file. */
  metadata: ReadonlyMap<string, string>;
  /**
   * Any tensor of `checkpointTensors(config)` as float32, in `into` where it is given.
   * @throws RequestError where it holds NaN or infinity: everything computed from it would
   */
  read(name: string, into?: Float32Array, from?: number): Promise<Float32Array>;
}

/**
 * Reads the config and the tensor list of a model directory; the tensors themselves are read by `read`.
 * @throws RequestError listing everything unsupported, missing, unexpected, misshapen or contradictory
 */
export async function readModelDirectory(directory: string): Promise<ModelDirectory> {
  const problems: Problem[] = [];
  const configPath = join(directory, 'config.json');
  const json = await readJson(configPath);
  const parsed = parseHfConfig(json, await readJson(join(directory, 'generation_config.json'), {}), problems);
  if (!parsed) throw new RequestError(problems, configPath);
  const weights = await openWeights(directory);
  const inferred: string[] = [];
  const placement = agreedPlacement(parsed.claim, weights, parsed.shape.layers, inferred, problems);
  if (!placement) throw new RequestError(problems, directory);
  const config: ModelConfig = { ...parsed.shape, ...placement };
  checkTensors(config, weights, problems);
  if (problems.length > 0) throw new RequestError(problems, directory);
  await checkTiedHead(config, weights, directory);
  return {
    config,
    inferred,
    extra: parsed.extra,
    metadata: weights.metadata,
    read: (name, into, from) => readFinite(weights, name, into, from),
  };
}

async function readJson(path: string, whenMissing?: Record<string, unknown>): Promise<Record<string, unknown>> {
  try {
    const json = parseStrictJson(await readFile(path, 'utf8'));
    if (!isJsonObject(json)) throw new SyntaxError('an object is needed');
    return json;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && whenMissing) return whenMissing;
    if (code !== undefined) {
      throw new RequestError(
        { message: `cannot be read (${code})`, hint: 'give a Hugging Face model directory' },
        path,
      );
    }
    throw new RequestError(`is not usable JSON: ${message}`, path);
  }
}

/** The placement that config, metadata and tensor names agree on. */
function agreedPlacement(
  fromConfig: PlacementClaim | undefined,
  weights: TensorStore,
  layers: number,
  inferred: string[],
  problems: Problem[],
): PlacementClaim | undefined {
  const { metadata } = weights;
  const postLayers = metadata.get('post_layers');
  const fromMetadata = parseClaim(
    metadata.get('norm'),
    postLayers === undefined ? undefined : Number(postLayers),
    layers,
    problems,
  );
  const fromNames = inferPlacement(weights.tensors.keys(), layers, problems);
  if (!fromNames) return undefined;
  const words = describePlacement(fromNames.postLayers, layers);
  for (const [source, claim] of [
    ['config.json', fromConfig],
    ['the metadata of the weights', fromMetadata],
  ] as const) {
    if (!claim || claim.postLayers === fromNames.postLayers) continue;
    problems.push({
      where: 'norm placement',
      message: `${source} says ${describePlacement(claim.postLayers, layers)}, but the tensor names are those of ${words}`,
      hint: 'the same name means another norm in Pre-LN and Post-LN; correct `norm` and `post_layers`, or take the right weights',
    });
  }
  if (!fromConfig && !fromMetadata && fromNames.postLayers > 0) {
    const deepNorm = fromNames.norm === 'post' ? ' (DeepNorm has the same names and is not supported)' : '';
    inferred.push(`norm placement: ${words}; inferred from the tensor names, the config does not say${deepNorm}`);
  }
  return fromConfig ?? fromMetadata ?? fromNames;
}

function checkTensors(config: ModelConfig, { tensors }: TensorStore, problems: Problem[]): void {
  const expected = new Map(checkpointTensors(config).map(({ name, shape }) => [name, shape]));
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (!found) problems.push({ where: name, message: `is missing; [${shape}] is expected`, ...missingHint(name) });
    else if (found.shape.join() !== shape.join()) {
      problems.push({ where: name, message: `has shape [${found.shape}]; the config says [${shape}]` });
    } else if (!isFloatDtype(found.dtype))
      problems.push({ where: name, message: `is ${found.dtype}; weights are floats` });
  }
  for (const name of tensors.keys()) {
    if (expected.has(name) || name.endsWith('.rotary_emb.inv_freq')) continue;
    if (name === 'lm_head.weight' && config.tieWordEmbeddings) continue;
    problems.push({ where: name, message: 'is not a tensor of this architecture' });
  }
}

function missingHint(name: string): { hint?: string } {
  if (name === 'score.weight')
    return { hint: 'a reward model is not usable without its head: a fresh one scores at random' };
  if (name !== 'lm_head.weight') return {};
  return { hint: 'if the head shares the embedding, config.json needs "tie_word_embeddings": true' };
}

/** A head that is written although it is tied must be the embedding. */
async function checkTiedHead(config: ModelConfig, weights: TensorStore, directory: string): Promise<void> {
  const head = 'lm_head.weight';
  if (!config.tieWordEmbeddings || !weights.tensors.has(head)) return;
  const embedding = await weights.readFloat32('model.embed_tokens.weight');
  const values = await weights.readFloat32(head);
  if (values.length === embedding.length && values.every((value, i) => Object.is(value, embedding[i]))) return;
  throw new RequestError(
    {
      where: head,
      message: 'differs from model.embed_tokens.weight, but config.json says that they are tied',
      hint: 'set "tie_word_embeddings": false to keep the head, or delete it from the weights',
    },
    directory,
  );
}

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
  const metadata = { norm: config.norm, post_layers: String(config.postLayers) };
  await writeWeights(directory, tensors, (name) => model.read(name), metadata);
  await model.tokenizer?.save(directory);
  if (config.norm !== 'pre') await copyFile(modelingCode, join(directory, 'modeling_mixln.py'));
  if (config.head !== 'score') await writeJson(join(directory, 'generation_config.json'), buildGenerationConfig(model));
  await writeJson(join(directory, 'config.json'), buildHfConfig(config, model, model.dtype));
  await readModelDirectory(directory);
}

/** The Python file stays beside the sources; compiled code finds it from `dist` too. */
const modelingCode = fileURLToPath(new URL('../../src/checkpoint/modeling_mixln.py', import.meta.url));

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);
}
