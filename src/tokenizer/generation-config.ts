import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { RequestError } from '../errors.ts';

/** One id, a list, or none (`null`, or −1 in older files). */
const idList = z.union([z.int(), z.array(z.int())]).nullish();
const amount = z.number().min(0).nullish();

/** The parts of generation_config.json that are used; everything else passes through. */
const generationConfig = z.looseObject({
  eos_token_id: idList,
  do_sample: z.boolean().nullish(),
  temperature: amount,
  top_k: z.int().min(0).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).nullish(),
});
export type GenerationConfig = z.infer<typeof generationConfig>;

const modelConfig = z.looseObject({ eos_token_id: idList });

/** What the files of a model next to its tokenizer say about how its texts end and how they are sampled. */
export interface ModelSettings {
  config?: z.infer<typeof modelConfig> | undefined;
  generationConfig?: GenerationConfig | undefined;
}

/** The token ids in a field that may hold one id, a list or none. */
export function idsIn(value: unknown): number[] {
  return [value].flat().filter((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0);
}

/**
 * Parses config.json and generation_config.json. A file that is not JSON is ignored, because loading the model reports
 * it.
 * @throws RequestError if a value in them is not valid
 */
export function parseModelSettings(files: ReadonlyMap<string, Uint8Array>): ModelSettings {
  return {
    config: parse(files, 'config.json', modelConfig),
    generationConfig: parse(files, 'generation_config.json', generationConfig),
  };
}

function parse<T>(files: ReadonlyMap<string, Uint8Array>, name: string, schema: z.ZodType<T>): T | undefined {
  let value: unknown;
  try {
    value = parseJson(new TextDecoder().decode(files.get(name)));
  } catch {
    return undefined;
  }
  const result = schema.safeParse(value);
  if (result.success) return value as T; // not `result.data`, which has its keys in another order
  const hint = 'correct the value or remove it';
  throw new RequestError(
    result.error.issues.map(({ path, message }) => ({ where: [name, ...path].join('.'), message, hint })),
  );
}

/**
 * All ids that end a text: those listed in generation_config.json and config.json, where transformers stops too, and
 * the tokenizer's own end token.
 */
export function endIdsOf(
  { config, generationConfig }: { [File in keyof ModelSettings]?: { eos_token_id?: unknown } | undefined },
  eosId?: number,
): number[] {
  const listed = [...idsIn(generationConfig?.eos_token_id), ...idsIn(config?.eos_token_id)];
  return [...new Set(eosId === undefined ? listed : [...listed, eosId])];
}

/** The generation_config.json of a trained model: as before, with the end token that it was trained with. */
export function withEndToken(config: GenerationConfig, eosId: number | undefined): GenerationConfig {
  const ids = idsIn(config.eos_token_id);
  if (eosId === undefined || ids.includes(eosId)) return config;
  return { ...config, eos_token_id: ids.length === 0 ? eosId : [...ids, eosId] };
}
