import { z } from 'zod';
import { RequestError } from '../errors.ts';
import type { Merge } from './merges.ts';

/**
 * Ids must be below this, so that a pair of them is exact in a double (`pairKey`) and a table of all fits in memory.
 */
const idLimit = 2 ** 24;

/** Ids by token. Checked by hand: zod would drop a token called `__proto__`, and take seconds for 200,000 tokens. */
export type Vocabulary = Readonly<Record<string, number>>;

const vocabulary = z.custom<Vocabulary>().superRefine((value, context) => {
  const problem = vocabularyProblem(value);
  if (problem) context.addIssue({ code: 'custom', continue: false, message: problem });
});

function vocabularyProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'expected tokens with their ids';
  const vocab = value as Record<string, unknown>;
  const taken = new Set<unknown>();
  for (const token of Object.keys(vocab)) {
    const id = vocab[token];
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= idLimit) {
      return `token ${JSON.stringify(token)}: found ${JSON.stringify(id)}, expected a whole number from 0 to ${idLimit - 1}`;
    }
    if (taken.has(id)) {
      const other = Object.keys(vocab).find((earlier) => vocab[earlier] === id);
      return `tokens ${JSON.stringify(other)} and ${JSON.stringify(token)} have the same id ${id}`;
    }
    taken.add(id);
  }
  return taken.size > 0 ? undefined : 'expected tokens with their ids, found none';
}

/** "left right", or [left, right]. */
type WrittenMerge = string | readonly [string, string];

const merges = z.custom<readonly WrittenMerge[]>().superRefine((value, context) => {
  if (!Array.isArray(value))
    return context.addIssue({ code: 'custom', continue: false, message: 'expected a list of merges' });
  const wrong = value.findIndex((merge) => !isMerge(merge));
  if (wrong < 0) return;
  const message = `found ${shown(value[wrong])}, expected two tokens`;
  context.addIssue({ code: 'custom', continue: false, path: [wrong], message });
});

function isMerge(merge: unknown): boolean {
  if (typeof merge !== 'string') return pairOf(merge) !== undefined;
  const space = merge.indexOf(' ');
  return space > 0 && space < merge.length - 1 && space === merge.lastIndexOf(' ');
}

/** The two tokens of a merge. */
function pairOf(merge: unknown): readonly [left: string, right: string] | undefined {
  const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
  if (!Array.isArray(parts) || parts.length !== 2) return undefined;
  return parts.every((part) => typeof part === 'string' && part !== '') ? (parts as [string, string]) : undefined;
}

const shown = (value: unknown): string => String(JSON.stringify(value)).slice(0, 60);

const bpe = z.looseObject({
  type: z.literal('BPE'),
  vocab: vocabulary,
  merges,
  dropout: z.number().nullish(),
  continuing_subword_prefix: z.string().nullish(),
  end_of_word_suffix: z.string().nullish(),
  unk_token: z.string().nullish(),
  byte_fallback: z.boolean().nullish(),
  fuse_unk: z.boolean().nullish(),
  ignore_merges: z.boolean().nullish(),
});
export type BpeModel = z.infer<typeof bpe>;

/** The ids of each merge: left, right and result. @throws RequestError if one is not in the vocabulary */
export function mergesById(
  { merges, continuing_subword_prefix: prefix }: BpeModel,
  ids: ReadonlyMap<string, number>,
): Merge[] {
  return merges.map((merge, index) => {
    const [left, right] = pairOf(merge)!;
    const whole = left + (prefix && right.startsWith(prefix) ? right.slice(prefix.length) : right);
    const [a, b, result] = [ids.get(left), ids.get(right), ids.get(whole)];
    if (a !== undefined && b !== undefined && result !== undefined) return [a, b, result];
    const missing = [left, right, whole].find((token) => !ids.has(token));
    throw new RequestError({
      where: `tokenizer.json.model.merges.${index}`,
      message: `${JSON.stringify(missing)} of the merge ${shown(merge)} is not in the vocabulary`,
      hint: 'vocabulary and merges must come from the same tokenizer; copy the file again',
    });
  });
}

const wordPiece = z
  .looseObject({
    type: z.literal('WordPiece'),
    vocab: vocabulary,
    unk_token: z.string(),
    continuing_subword_prefix: z.string(),
    max_input_chars_per_word: z.int().positive().optional(),
  })
  .superRefine(({ vocab, unk_token: token }, context) => {
    if (Object.hasOwn(vocab, token)) return;
    const message = `${JSON.stringify(token)} is not in the vocabulary`;
    context.addIssue({ code: 'custom', continue: false, path: ['unk_token'], message });
  });

const pieces = z.custom<readonly (readonly [token: string, score: number])[]>().superRefine((value, context) => {
  if (!Array.isArray(value) || value.length === 0 || value.length >= idLimit) {
    return context.addIssue({
      code: 'custom',
      continue: false,
      message: 'expected a list of tokens with their scores',
    });
  }
  const isPiece = (piece: unknown): boolean =>
    Array.isArray(piece) && piece.length === 2 && typeof piece[0] === 'string' && typeof piece[1] === 'number';
  const wrong = value.findIndex((piece) => !isPiece(piece));
  if (wrong < 0) return;
  context.addIssue({
    code: 'custom',
    continue: false,
    path: [wrong],
    message: `found ${shown(value[wrong])}, expected [token, score]`,
  });
});

const unigram = z
  .looseObject({
    type: z.literal('Unigram'),
    vocab: pieces,
    unk_id: z.int().min(0).nullish(),
    byte_fallback: z.boolean().nullish(),
  })
  .superRefine(({ vocab, unk_id: id }, context) => {
    if (id === undefined || id === null || id < vocab.length) return;
    context.addIssue({
      code: 'custom',
      continue: false,
      path: ['unk_id'],
      message: `${id} is not among the ${vocab.length} tokens`,
    });
  });

/** Older files have no `type`; it is inferred from their content. */
function withType(model: unknown): unknown {
  if (typeof model !== 'object' || model === null || 'type' in model) return model;
  const { vocab, merges }: { vocab?: unknown; merges?: unknown } = model;
  const type = Array.isArray(vocab) ? 'Unigram' : vocab !== undefined && merges === undefined ? 'WordPiece' : 'BPE';
  return { type, ...model };
}

export const tokenizerModel = z.preprocess(
  withType,
  z.discriminatedUnion('type', [bpe, wordPiece, unigram], 'BPE, Unigram or WordPiece'),
);
export type TokenizerModel = z.infer<typeof tokenizerModel>;
