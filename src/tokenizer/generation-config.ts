import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { RequestError } from '../errors.ts';

/** One id, a list, or none (`null`, or −1 in older files). */
const idList = z.union([z.int(), z.array(z.int())]).nullish();
const amount = z.number().min(0).nullish();

/** The parts of generation_config.json that are looked at here; everything else passes through. */
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

/** Files of a model that say how its texts end and are sampled, where they lie beside its tokenizer. */
export interface ModelSettings {
  config?: z.infer<typeof modelConfig> | undefined;
  generationConfig?: GenerationConfig | undefined;
}

/** Ids that a field of such a file lists. */
export function idsIn(value: unknown): number[] {
  return [value].flat().filter((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0);
}

/**
 * Reads them out of config.json and generation_config.json; a file that is no JSON is for the reader of the model to
 * tell.
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
  if (result.success) return value as T; // keys in their order, which the schema would change
  const hint = 'correct the value, or take it out';
  throw new RequestError(
    result.error.issues.map(({ path, message }) => ({ where: [name, ...path].join('.'), message, hint })),
  );
}

/**
 * Every id that ends a text: those that generation_config.json and config.json list, as transformers stops at, and the
 * tokenizer's own end token.
 */
export function endIdsOf(
  { config, generationConfig }: { [File in keyof ModelSettings]?: { eos_token_id?: unknown } | undefined },
  eosId?: number,
): number[] {
  const listed = [...idsIn(generationConfig?.eos_token_id), ...idsIn(config?.eos_token_id)];
  return [...new Set(eosId === undefined ? listed : [...listed, eosId])];
}

/** What a trained model's generation_config.json says: all that it said before, and the end token that was trained. */
export function withEndToken(config: GenerationConfig, eosId: number | undefined): GenerationConfig {
  const ids = idsIn(config.eos_token_id);
  if (eosId === undefined || ids.includes(eosId)) return config;
  return { ...config, eos_token_id: ids.length === 0 ? eosId : [...ids, eosId] };
}
