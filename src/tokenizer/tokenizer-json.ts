import { z } from 'zod';
import { type Problem, RequestError } from '../errors.ts';

const component = z.looseObject({ type: z.string() });
export type Component = z.infer<typeof component>;

const addedToken = z.looseObject({
  id: z.int().min(0),
  content: z.string(),
  special: z.boolean().default(false),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
});
export type AddedToken = z.infer<typeof addedToken>;

/** Ids by token, or Unigram's list. Checked by hand: zod would drop a token called `__proto__`. */
type Vocabulary = Readonly<Record<string, number>> | readonly unknown[];
const notVocabulary = 'expected tokens with whole numbers from 0 as ids';
function isVocabulary(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Array.isArray(value) || Object.values(value).every((id) => Number.isSafeInteger(id) && id >= 0);
}

/** The parts of a tokenizer.json that are looked at here; everything else passes through. */
const tokenizerJson = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: component.nullable().default(null),
  pre_tokenizer: component.nullable().default(null),
  post_processor: component.nullable().default(null),
  decoder: component.nullable().default(null),
  model: z.looseObject({ type: z.string().optional(), vocab: z.custom<Vocabulary>(isVocabulary, notVocabulary) }),
});
export type TokenizerJson = z.infer<typeof tokenizerJson>;

const namedToken = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
export const specialTokensMap = z.looseObject({
  bos_token: namedToken.nullish(),
  eos_token: namedToken.nullish(),
  pad_token: namedToken.nullish(),
});
export type SpecialTokensMap = z.infer<typeof specialTokensMap>;

/** tokenizer_config.json; a list of chat templates is reduced to the one called `default`. */
const tokenizerConfig = specialTokensMap.extend({
  add_bos_token: z.boolean().nullish(),
  chat_template: z
    .union([
      z.string(),
      z
        .array(z.object({ name: z.string(), template: z.string() }))
        .transform((list) => list.find(({ name }) => name === 'default')?.template),
    ])
    .nullish(),
});
export type TokenizerConfig = z.infer<typeof tokenizerConfig>;

export const parseTokenizerJson = (bytes: Uint8Array): TokenizerJson => parse(bytes, tokenizerJson, 'tokenizer.json');
export const parseTokenizerConfig = (bytes: Uint8Array): TokenizerConfig =>
  parse(bytes, tokenizerConfig, 'tokenizer_config.json');
export const parseSpecialTokensMap = (bytes: Uint8Array): SpecialTokensMap =>
  parse(bytes, specialTokensMap, 'special_tokens_map.json');

const hint = 'copy or download the file again; it is the one that Hugging Face’s `save_pretrained` writes';

function parse<T>(bytes: Uint8Array, schema: z.ZodType<T>, file: string): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new RequestError({ message: `is not JSON: ${(error as Error).message}`, where: file, hint });
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    ({ path, message }): Problem => ({ message, where: [file, ...path].join('.'), hint }),
  );
  throw new RequestError(problems);
}
