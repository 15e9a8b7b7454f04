import type { Problem } from '../errors.ts';
import type { ModelConfig, NormChoice } from '../model/config.ts';
import { writtenPlacement } from '../model/norm.ts';
import { endIdsOf, type GenerationConfig, idsIn } from '../tokenizer/generation-config.ts';
import { foreignFamily } from './families.ts';
import { statedPlacement, type Unplaced } from './placement.ts';
import { ropeTheta } from './rope.ts';
import { isJsonObject } from './strict-json.ts';
import { unsupportedKeys } from './unsupported-keys.ts';

/** What a Hugging Face directory says beside the architecture. */
export interface ModelExtra {
  /** `model_type` of config.json. */
  modelType: string;
  /** First entry of `architectures`. */
  architecture: string | undefined;
  bosId: number | undefined;
  /** Every id that ends a text; the first one is written where only one is wanted. */
  eosIds: readonly number[];
  padId: number | undefined;
  /** Of a reward model: what is added to its score. */
  rewardOffset?: number | undefined;
}

export interface ParsedConfig {
  /** Everything but the placement. */
  shape: Unplaced;
  /** The placement that it states. */
  norm: NormChoice | undefined;
  extra: ModelExtra;
}

type Json = Record<string, unknown>;

/** A bound on what a broken config can ask for; the deepest published Llama-style models have about 130 layers. */
const mostLayers = 10_000;

/** Reads config.json (and generation_config.json for the ids) in the spelling of transformers 4 and 5 alike. */
export function parseHfConfig(json: Json, generation: Json, problems: Problem[]): ParsedConfig | undefined {
  const modelType = json.model_type;
  if (modelType !== 'llama' && modelType !== 'mixln') {
    problems.push(foreignFamily(modelType, json));
    return undefined;
  }
  const before = problems.length;
  problems.push(...unsupportedKeys(json));
  const dtype = agreeing('torch_dtype', json.torch_dtype, 'dtype', json.dtype, problems);
  if (dtype !== undefined && typeof dtype !== 'string') problems.push({ where: 'dtype', message: 'is not a string' });
  const heads = count(json, 'num_attention_heads', problems);
  const hiddenSize = count(json, 'hidden_size', problems);
  const layers = count(json, 'num_hidden_layers', problems, undefined, mostLayers);
  const kvHeads = count(json, 'num_key_value_heads', problems, heads);
  if ((json.head_dim ?? undefined) === undefined && hiddenSize % heads > 0) {
    const message = `${hiddenSize} is no multiple of the ${heads} attention heads`;
    problems.push({ where: 'hidden_size', message, hint: 'head_dim is needed where it is not their quotient' });
  }
  const headDim = count(json, 'head_dim', problems, Math.ceil(hiddenSize / heads));
  const shape = {
    vocabSize: count(json, 'vocab_size', problems),
    hiddenSize,
    intermediateSize: count(json, 'intermediate_size', problems),
    layers,
    heads,
    kvHeads,
    headDim,
    ropeTheta: positive({ rope_theta: ropeTheta(json, problems) }, 'rope_theta', problems, 10000),
    rmsNormEps: positive(json, 'rms_norm_eps', problems, 1e-6),
    maxLength: count(json, 'max_position_embeddings', problems, 2048),
    tieWordEmbeddings: flag(json, 'tie_word_embeddings', problems),
  };
  if (problems.length === before) checkHeads(shape, problems);
  const isScoring = architectureOf(json)?.endsWith('ForSequenceClassification') ?? false;
  if (isScoring) checkLabels(json, problems);
  const norm = statedPlacement(json, layers, problems);
  if (problems.length > before) return undefined;
  const scoring = { ...shape, tieWordEmbeddings: false, head: 'score' as const };
  return { shape: isScoring ? scoring : shape, norm, extra: parseExtra(json, generation, modelType) };
}

/** A reward model has one label, its score. transformers writes `id2label` where the number is not its default of 2. */
function checkLabels({ num_labels: number, id2label, reward_offset: offset }: Json, problems: Problem[]): void {
  const labels = number ?? (isJsonObject(id2label) ? Object.keys(id2label).length : 2);
  if (labels !== 1) {
    const message = `${JSON.stringify(labels)}; a reward model has 1`;
    problems.push({ where: 'num_labels', message, hint: 'classifiers are not supported' });
  }
  if (offset !== undefined && (typeof offset !== 'number' || !Number.isFinite(offset))) {
    problems.push({ where: 'reward_offset', message: `${JSON.stringify(offset)}; a number is needed` });
  }
}

function checkHeads({ heads, kvHeads, headDim }: ParsedConfig['shape'], problems: Problem[]): void {
  if (heads % kvHeads !== 0) {
    problems.push({ where: 'num_key_value_heads', message: `${kvHeads} does not divide the ${heads} attention heads` });
  }
  if (headDim % 2 !== 0)
    problems.push({ where: 'head_dim', message: `${headDim} is odd; rotary embedding needs pairs` });
}

/** One value under two spellings, which must not contradict each other. */
function agreeing(keyA: string, a: unknown, keyB: string, b: unknown, problems: Problem[]): unknown {
  if (a !== undefined && a !== null && b !== undefined && b !== null && a !== b) {
    problems.push({
      where: `${keyA} and ${keyB}`,
      message: `contradict each other: ${JSON.stringify(a)} and ${JSON.stringify(b)}`,
      hint: 'delete the wrong one',
    });
  }
  return a ?? b ?? undefined;
}

function count(
  json: Json,
  key: string,
  problems: Problem[],
  fallback?: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = json[key] ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  const isConsequence = Number.isNaN(value);
  if (!isConsequence) {
    const range = most === Number.MAX_SAFE_INTEGER ? 'from 1' : `from 1 to ${most}`;
    problems.push({ where: key, message: `${JSON.stringify(value) ?? 'missing'}; a whole number ${range} is needed` });
  }
  return Number.NaN;
}

function positive(json: Json, key: string, problems: Problem[], fallback: number): number {
  const value = json[key] ?? fallback;
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  problems.push({ where: key, message: `${JSON.stringify(value)}; a number above 0 is needed` });
  return Number.NaN;
}

function flag(json: Json, key: string, problems: Problem[]): boolean {
  const value = json[key] ?? false;
  if (typeof value === 'boolean') return value;
  problems.push({ where: key, message: `${JSON.stringify(value)}; true or false is needed` });
  return false;
}

function architectureOf({ architectures }: Json): string | undefined {
  const architecture = Array.isArray(architectures) ? architectures[0] : undefined;
  return typeof architecture === 'string' ? architecture : undefined;
}

function parseExtra(json: Json, generation: Json, modelType: string): ModelExtra {
  return {
    modelType,
    architecture: architectureOf(json),
    rewardOffset: json.reward_offset as number | undefined,
    bosId: idsIn(generation.bos_token_id ?? json.bos_token_id)[0],
    eosIds: endIdsOf({ config: json, generationConfig: generation }),
    padId: idsIn(generation.pad_token_id ?? json.pad_token_id)[0],
  };
}

export interface SpecialIds {
  bosId?: number | undefined;
  eosIds?: readonly number[];
  padId?: number | undefined;
}

/** What a written config says beside the architecture. */
export interface WrittenExtra extends SpecialIds {
  /** Of a reward model; 0 if left out. */
  rewardOffset?: number | undefined;
  /** Of a language model: generation_config.json as it is to be; made of the ids if left out. */
  generationConfig?: GenerationConfig | undefined;
}

export type WeightDtype = 'f32' | 'bf16' | 'f16';

const torchNames = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' } as const;

/** config.json as transformers 4.57 and 5 read it: stock `llama` for Pre-LN, `mixln` with its own code for the rest. */
export function buildHfConfig(config: ModelConfig, extra: WrittenExtra, dtype: WeightDtype): Json {
  const task = config.head === 'score' ? 'SequenceClassification' : 'CausalLM';
  return {
    ...(config.norm.name === 'pre'
      ? { architectures: [`LlamaFor${task}`], model_type: 'llama' }
      : {
          architectures: [`MixLNFor${task}`],
          model_type: 'mixln',
          auto_map: {
            AutoConfig: 'modeling_mixln.MixLNConfig',
            [`AutoModelFor${task}`]: `modeling_mixln.MixLNFor${task}`,
          },
          ...writtenPlacement(config),
        }),
    ...(config.head === 'score' ? scoreConfig(extra) : {}),
    attention_bias: false,
    attention_dropout: 0,
    ...specialIds(extra),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.maxLength,
    mlp_bias: false,
    num_attention_heads: config.heads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.kvHeads,
    rms_norm_eps: config.rmsNormEps,
    rope_parameters: { rope_theta: config.ropeTheta, rope_type: 'default' },
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tieWordEmbeddings,
    torch_dtype: torchNames[dtype],
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

function scoreConfig({ rewardOffset = 0 }: WrittenExtra): Json {
  return { num_labels: 1, id2label: { 0: 'reward' }, label2id: { reward: 0 }, reward_offset: rewardOffset };
}

/** generation_config.json: the one that the model has, else the ids. */
export function buildGenerationConfig({ generationConfig, ...ids }: WrittenExtra): Json {
  return generationConfig ?? { _from_model_config: true, ...specialIds(ids) };
}

function specialIds({ bosId, eosIds = [], padId }: SpecialIds): Json {
  return {
    bos_token_id: bosId ?? null,
    eos_token_id: eosIds.length > 1 ? eosIds : (eosIds[0] ?? null),
    pad_token_id: padId ?? null,
  };
}
