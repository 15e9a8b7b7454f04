import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { validate } from '../config/validate.ts';
import { type Problem, RequestError } from '../errors.ts';
import { decodeText } from '../files.ts';
import { decoder, normalizer, postProcessor, preTokenizer } from './components.ts';
import { type TokenizerModel, tokenizerModel, type Vocabulary } from './model-json.ts';

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

/** The parts of a tokenizer.json that are used; everything else passes through. */
const tokenizerJson = z
  .looseObject({
    added_tokens: z.array(addedToken).default([]),
    normalizer: normalizer.nullable().default(null),
    pre_tokenizer: preTokenizer.nullable().default(null),
    post_processor: postProcessor.nullable().default(null),
    decoder: decoder.nullable().default(null),
    model: tokenizerModel,
  })
  .superRefine(({ added_tokens: added, model }, context) => {
    const ids = givenIds(added, model);
    const wrong = added.findIndex(({ content, id }) => ids.get(content) !== id);
    if (wrong < 0) return;
    const { id, content } = added[wrong]!;
    const message = `${id}, but Hugging Face’s tokenizers give ${JSON.stringify(content)} the id ${ids.get(content)}: that of the vocabulary, or the next free one`;
    context.addIssue({ code: 'custom', path: ['added_tokens', wrong, 'id'], message });
  });
export type TokenizerJson = z.infer<typeof tokenizerJson>;

/** The ids that Hugging Face's tokenizers give to added tokens; the ids in the file must equal them. */
function givenIds(added: readonly AddedToken[], model: TokenizerModel): ReadonlyMap<string, number> {
  const known: Vocabulary =
    model.type === 'Unigram' ? Object.fromEntries(model.vocab.map(([token], id) => [token, id])) : model.vocab;
  const ids = new Map<string, number>();
  let next = Object.keys(known).length;
  for (const { content } of added) {
    if (ids.has(content)) continue;
    const id = Object.hasOwn(known, content) ? known[content]! : next;
    next = Math.max(next, id + 1);
    ids.set(content, id);
  }
  return ids;
}

const namedToken = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
export const specialTokensMap = z.looseObject({
  bos_token: namedToken.nullish(),
  eos_token: namedToken.nullish(),
  pad_token: namedToken.nullish(),
});
export type SpecialTokensMap = z.infer<typeof specialTokensMap>;

/** The parts of tokenizer_config.json that are used. */
const tokenizerConfig = specialTokensMap.extend({
  add_bos_token: z.boolean().nullish(),
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
});
export type TokenizerConfig = z.infer<typeof tokenizerConfig>;

export const parseTokenizerJson = (bytes: Uint8Array): TokenizerJson => parse(bytes, tokenizerJson, 'tokenizer.json');
export const parseTokenizerConfig = (bytes: Uint8Array): TokenizerConfig =>
  parse(bytes, tokenizerConfig, 'tokenizer_config.json');
export const parseSpecialTokensMap = (bytes: Uint8Array): SpecialTokensMap =>
  parse(bytes, specialTokensMap, 'special_tokens_map.json');

export const copyHint = 'copy or download the file again; it is the one that Hugging Face’s `save_pretrained` writes';

function parse<T>(bytes: Uint8Array, schema: z.ZodType<T>, file: string): T {
  let value: unknown;
  try {
    value = parseJson(decodeText(bytes, file));
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError({ message: `is not JSON: ${(error as Error).message}`, where: file, hint: copyHint });
  }
  const { value: parsed, problems } = validate(schema, value, { where: (path) => [file, ...path].join('.') });
  if (parsed !== undefined) return parsed;
  throw new RequestError(problems.map((problem): Problem => ({ hint: copyHint, ...problem })));
}
