import { z } from 'zod';

/** A normaliser, pre-tokeniser, post-processor or decoder. */
export type Component = z.infer<typeof anyComponent>;
const anyComponent = z.looseObject({ type: z.string() });

/** Limit on nested steps; real files have two levels. */
const deepest = 16;

/** A component with one of the given types and its required fields; other fields pass through. */
function componentOf(kinds: Readonly<Record<string, z.ZodRawShape>>): z.ZodType<Component> {
  const [first, ...others] = Object.entries(kinds).map(([type, fields]) =>
    z.looseObject({ type: z.literal(type), ...fields }),
  );
  const known = `one of ${Object.keys(kinds).join(', ')}: others are not supported`;
  return anyComponent
    .refine((component) => depthOf(component) <= deepest, `is nested more than ${deepest} levels deep`)
    .pipe(z.discriminatedUnion('type', [first!, ...others], known));
}

/** Levels of nested sequences, counted without recursion. */
function depthOf(component: unknown): number {
  let level = [component];
  for (let depth = 0; ; depth++) {
    if (level.length === 0 || depth > deepest) return depth;
    level = level.flatMap((one) => Object.values(Object(one)).filter(Array.isArray).flat());
  }
}

const pattern = z.union([z.strictObject({ String: z.string() }), z.strictObject({ Regex: z.string() })]);
const flag = z.boolean().optional();
const count = z.int().min(0);
const token = z.tuple([z.string(), count]);
const sides = { sep: token, cls: token };

export const normalizer: z.ZodType<Component> = componentOf({
  BertNormalizer: { lowercase: flag, strip_accents: z.boolean().nullish() },
  Lowercase: {},
  NFC: {},
  NFD: {},
  NFKC: {},
  NFKD: {},
  Precompiled: { precompiled_charsmap: z.unknown() },
  Prepend: { prepend: z.string() },
  Replace: { pattern, content: z.string() },
  Sequence: { normalizers: z.lazy(() => z.array(normalizer)) },
  StripAccents: {},
  Strip: { strip_left: flag, strip_right: flag },
});

export const preTokenizer: z.ZodType<Component> = componentOf({
  BertPreTokenizer: {},
  ByteLevel: { add_prefix_space: flag, use_regex: flag },
  Digits: { individual_digits: flag },
  FixedLength: { length: count.min(1) },
  Metaspace: { replacement: z.string(), prepend_scheme: z.enum(['always', 'first', 'never']).optional(), split: flag },
  Punctuation: { behavior: z.string().optional() },
  Sequence: { pretokenizers: z.lazy(() => z.array(preTokenizer)) },
  Split: {
    pattern,
    behavior: z.enum(['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']),
    invert: flag,
  },
  Whitespace: {},
  WhitespaceSplit: {},
});

const namedTokens = z.record(z.string(), z.looseObject({ ids: z.array(count) }));

const piece = z.union([
  z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }) }),
  z.looseObject({ Sequence: z.looseObject({ id: z.enum(['A', 'B']) }) }),
]);

export const postProcessor: z.ZodType<Component> = componentOf({
  BertProcessing: sides,
  ByteLevel: {},
  RobertaProcessing: sides,
  Sequence: { processors: z.lazy(() => z.array(postProcessor)) },
  TemplateProcessing: { single: z.array(piece), special_tokens: namedTokens },
});

export const decoder: z.ZodType<Component> = componentOf({
  BPEDecoder: { suffix: z.string().optional() },
  ByteFallback: {},
  ByteLevel: {},
  CTC: { pad_token: z.string(), word_delimiter_token: z.string() },
  Fuse: {},
  Metaspace: { replacement: z.string() },
  Replace: { pattern, content: z.string() },
  Sequence: { decoders: z.lazy(() => z.array(decoder)) },
  Strip: { content: z.string(), start: count, stop: count },
  WordPiece: { prefix: z.string().optional() },
});
