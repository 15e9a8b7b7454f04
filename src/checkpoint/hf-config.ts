import type { Problem } from '../errors.ts';
import type { ModelConfig, NormChoice } from '../model/config.ts';
import { agreed, type Json } from '../model/families/values.ts';
import { familyNamed, familyOfType } from '../model/family.ts';
import { writtenPlacement } from '../model/norm.ts';
import { endIdsOf, type GenerationConfig, idsIn } from '../tokenizer/generation-config.ts';
import { passedOver, unsupportedKeys } from './config-keys.ts';
import { foreignFamily } from './foreign-families.ts';
import { statedPlacement, type Unplaced } from './placement.ts';
import { isJsonObject } from './strict-json.ts';

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
  /** What a person may expect of it and does not get, a sentence each. */
  notes: string[];
}

/** Reads config.json (and generation_config.json for the ids) in the spelling of transformers 4 and 5 alike. */
export function parseHfConfig(json: Json, generation: Json, problems: Problem[]): ParsedConfig | undefined {
  const family = familyOfType(json.model_type);
  if (!family) {
    problems.push(foreignFamily(json.model_type, json));
    return undefined;
  }
  const before = problems.length;
  problems.push(...unsupportedKeys(json, family));
  checkDtype(json, problems);
  const shape = family.read(json, problems);
  const isScoring = architectureOf(json)?.endsWith('ForSequenceClassification') ?? false;
  if (isScoring) checkLabels(json, problems);
  const norm = statedPlacement(json, shape.layers, problems);
  if (problems.length > before) return undefined;
  const scoring = { ...shape, tieWordEmbeddings: false, head: 'score' as const };
  const extra = parseExtra(json, generation);
  return { shape: isScoring ? scoring : shape, norm, extra, notes: passedOver(json, family) };
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

function checkDtype({ torch_dtype: four, dtype: five }: Json, problems: Problem[]): void {
  const dtype = agreed(Object.entries({ torch_dtype: four, dtype: five }), problems);
  if (dtype !== undefined && typeof dtype !== 'string') problems.push({ where: 'dtype', message: 'is not a string' });
}

function architectureOf({ architectures }: Json): string | undefined {
  const architecture = Array.isArray(architectures) ? architectures[0] : undefined;
  return typeof architecture === 'string' ? architecture : undefined;
}

function parseExtra(json: Json, generation: Json): ModelExtra {
  return {
    modelType: json.model_type as string,
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

/** config.json as transformers 4.57 and 5 read it, with placement and kind of norms where they need our own code. */
export function buildHfConfig(config: ModelConfig, extra: WrittenExtra, dtype: WeightDtype): Json {
  const architecture = familyNamed(config.family.name).write(config);
  const isTheirs = config.norm.name === 'pre' && architecture.auto_map === undefined;
  return {
    ...architecture,
    ...(isTheirs ? {} : writtenPlacement(config)),
    ...(config.normKind === undefined ? {} : { norm_kind: config.normKind }),
    ...(config.head === 'score' ? scoreConfig(extra) : {}),
    ...specialIds(extra),
    torch_dtype: torchNames[dtype],
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
