import { type Problem, RequestError } from '../errors.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  type EncodedAnswer,
  type EncodedPair,
  type EncodedSequence,
  encodeFeedback,
  encodeMessages,
  encodePair,
  encodePrompt,
} from './encode.ts';
import type { FeedbackRow, Message, MessagesRow, PreferenceRow } from './rows.ts';
import { chatRenderer } from './template.ts';

/** What to do with rows of more than `maxLength` tokens; `truncate` cuts off their end. */
export type TooLongPolicy = 'error' | 'drop' | 'truncate';

export interface EncodeOptions {
  /** Maximum number of tokens per row. */
  maxLength: number;
  onTooLong?: TooLongPolicy;
  /** Accept answers that do not end with an end token, although a model trained on them learns not to stop. */
  allowMissingEnd?: boolean;
}

/** What a check of the rows found before any training. A pair counts as two sequences. */
export interface Preflight {
  /** Number of rows. */
  rows: number;
  /** Number of rows that were kept. */
  keptRows: number;
  sequences: number;
  tokens: number;
  trainedTokens: number;
  /** Length of the longest sequence in tokens. */
  longest: number;
  /** Rows longer than allowed, 0-based. */
  tooLong: number[];
  /** Rows with nothing to train on, 0-based. */
  untrained: number[];
  /** Number of sequences whose last trained token is not an end token, before `truncate` cuts them. */
  withoutEnd: number;
  /** The last trained token of the first of these, as text. */
  strayEnd: string;
  /** Number of sequences that begin with two beginning-of-sequence tokens. */
  doubledBos: number;
  /** Number of tokens that extend across a boundary of a trained span. */
  boundaryMerges: number;
  /** Rows among the first `promptsLookedAt` in which tokens of the prompt are trained, 0-based. */
  trainedPrompts: number[];
}

/**
 * Number of rows whose prompt is encoded separately, to check that none of it is trained. Masks are usually right or
 * wrong in all rows.
 */
const promptsLookedAt = 64;

/** Encodes conversations and checks them. @throws RequestError with everything that is wrong with them */
export function encodeConversations(
  rows: readonly MessagesRow[],
  tokenizer: Tokenizer,
  options: EncodeOptions,
): { sequences: EncodedSequence[]; preflight: Preflight } {
  const promptOf = ({ messages }: MessagesRow) =>
    messages.slice(
      0,
      messages.findIndex(({ role, trained }) => role === 'assistant' && trained !== false),
    );
  const encode = (row: MessagesRow) => [encodeMessages(row, tokenizer)];
  const { kept, preflight } = encodeRows(rows, { encode, promptOf }, tokenizer, options);
  return { sequences: kept.map(([sequence]) => sequence!), preflight };
}

/**
 * Encodes preference pairs and checks them. A pair is dropped if one of its answers is, or if both are equal after
 * being cut.
 * @throws RequestError with everything that is wrong with them
 */
export function encodePairs(
  rows: readonly PreferenceRow[],
  tokenizer: Tokenizer,
  options: EncodeOptions,
): { pairs: EncodedPair[]; preflight: Preflight } {
  const encode = (row: PreferenceRow) => {
    const { chosen, rejected } = encodePair(row, tokenizer);
    return [chosen, rejected];
  };
  const { kept, preflight } = encodeRows(rows, { encode, promptOf: ({ prompt }) => prompt }, tokenizer, options);
  const pairs = kept.map(([chosen, rejected]) => ({ chosen: chosen!, rejected: rejected! }));
  const different = pairs.filter(({ chosen, rejected }) => !sameTokens(chosen, rejected));
  if (pairs.length > 0 && different.length === 0) {
    const message = `chosen and rejected are the same in all ${pairs.length} pairs once they are cut to ${options.maxLength} tokens`;
    throw new RequestError({ message, hint: 'raise maxLength' });
  }
  return { pairs: different, preflight: { ...preflight, keptRows: different.length } };
}

function sameTokens(a: EncodedSequence, b: EncodedSequence): boolean {
  return a.tokens.length === b.tokens.length && a.tokens.every((token, i) => token === b.tokens[i]);
}

/**
 * Encodes single answers and checks them. A row is dropped if one of its answers is.
 * @throws RequestError with everything that is wrong with them
 */
export function encodeUnpaired(
  rows: readonly FeedbackRow[],
  tokenizer: Tokenizer,
  options: EncodeOptions,
): { answers: EncodedAnswer[]; preflight: Preflight } {
  const encode = (row: FeedbackRow) => encodeFeedback(row, tokenizer);
  const { kept, preflight } = encodeRows(rows, { encode, promptOf: ({ prompt }) => prompt }, tokenizer, options);
  return { answers: kept.flat(), preflight };
}

/** Describes a preflight check in one line, for the log. */
export function describePreflight(preflight: Preflight): string {
  const { rows, keptRows, tokens, trainedTokens, longest, boundaryMerges } = preflight;
  const share = tokens === 0 ? 0 : (100 * trainedTokens) / tokens;
  const kept = keptRows === rows ? `${rows} rows` : `${keptRows} of ${rows} rows`;
  const merges = boundaryMerges > 0 ? `, ${boundaryMerges} tokens cross the boundary of an answer` : '';
  return `${kept}, ${tokens} tokens, ${trainedTokens} of them trained (${share.toFixed(1)} %), longest ${longest}${merges}`;
}

/** Encodes a row, and returns the conversation before the first trained part. */
interface RowReader<R, S extends EncodedSequence> {
  encode(row: R): S[];
  promptOf(row: R): readonly Message[];
}

function encodeRows<R, S extends EncodedSequence>(
  rows: readonly R[],
  { encode, promptOf }: RowReader<R, S>,
  tokenizer: Tokenizer,
  options: EncodeOptions,
): { kept: S[][]; preflight: Preflight } {
  chatRenderer(tokenizer); // throws once for a template that cannot be used, rather than for each row
  const preflight = emptyPreflight(rows.length);
  const kept: S[][] = [];
  const refused = new Map<string, { problem: Problem; at: number[] }>();
  for (const [index, row] of rows.entries()) {
    try {
      const encoded = encode(row);
      if (index < promptsLookedAt && trainsPrompt(encoded, encodePrompt(promptOf(row), tokenizer))) {
        preflight.trainedPrompts.push(index);
      }
      const sequences = lookOver(encoded, index, preflight, tokenizer, options);
      if (sequences) kept.push(sequences);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      for (const problem of error.problems) {
        const alike = refused.get(problem.message);
        if (alike) alike.at.push(index);
        else refused.set(problem.message, { problem, at: [index] });
      }
    }
  }
  preflight.keptRows = kept.length;
  const problems = [...refused.values()].map(({ problem, at }): Problem => ({ ...problem, where: rowNumbers(at) }));
  problems.push(...preflightProblems(preflight, tokenizer, options));
  if (problems.length > 0) throw new RequestError(atMost(problems, 10));
  return { kept, preflight };
}

/**
 * Whether tokens of the prompt are trained. Tokens at the beginning of a sequence that equal those of the separately
 * encoded prompt belong to the prompt, whatever offsets and template say.
 */
function trainsPrompt(sequences: readonly EncodedSequence[], prompt: Int32Array): boolean {
  return sequences.some(({ tokens, trained }) => {
    const first = trained.indexOf(1);
    return (
      first >= 0 && first < prompt.length && prompt.subarray(0, first + 1).every((token, i) => token === tokens[i])
    );
  });
}

/** Counts a row, and returns the sequences to train on, or undefined if the row is dropped. */
function lookOver<S extends EncodedSequence>(
  encoded: readonly S[],
  row: number,
  preflight: Preflight,
  tokenizer: Tokenizer,
  { maxLength, onTooLong }: EncodeOptions,
): S[] | undefined {
  const length = encoded.reduce((most, { tokens }) => Math.max(most, tokens.length), 0);
  const tooLong = length > maxLength;
  preflight.longest = Math.max(preflight.longest, length);
  if (tooLong) {
    preflight.tooLong.push(row);
    if (onTooLong !== 'truncate') return undefined;
  }
  const sequences = encoded.map((sequence) => cut(sequence, maxLength));
  if (sequences.some(({ trained }) => !trained.includes(1))) {
    if (!tooLong) preflight.untrained.push(row);
    return undefined;
  }
  for (const sequence of sequences) count(sequence, preflight);
  for (const { tokens, trained } of encoded) {
    const last = tokens[trained.lastIndexOf(1)]!;
    if (!tokenizer.endIds.includes(last)) {
      if (preflight.withoutEnd === 0) preflight.strayEnd = tokenizer.decode([last]);
      preflight.withoutEnd++;
    }
    if (tokens[0] === tokenizer.bosId && tokens[1] === tokenizer.bosId) preflight.doubledBos++;
  }
  return sequences;
}

function cut<S extends EncodedSequence>(sequence: S, maxLength: number): S {
  const { tokens, trained } = sequence;
  return { ...sequence, tokens: tokens.subarray(0, maxLength), trained: trained.subarray(0, maxLength) };
}

function count({ tokens, trained, boundaryMerges }: EncodedSequence, preflight: Preflight): void {
  preflight.sequences++;
  preflight.tokens += tokens.length;
  for (const flag of trained) preflight.trainedTokens += flag;
  preflight.boundaryMerges += boundaryMerges;
}

function preflightProblems(
  preflight: Preflight,
  tokenizer: Tokenizer,
  { maxLength, onTooLong = 'error', allowMissingEnd }: EncodeOptions,
): Problem[] {
  const { rows, sequences, tooLong, untrained, withoutEnd, doubledBos, trainedPrompts, longest, keptRows } = preflight;
  const problems: Problem[] = [];
  if (tooLong.length > 0 && onTooLong === 'error') {
    problems.push({
      message: `${tooLong.length} of ${rows} rows are longer than ${maxLength} tokens (${rowNumbers(tooLong)}); the longest has ${longest}`,
      hint: "raise maxLength up to the model's context, or say what to do with them: `onTooLong: drop` or `onTooLong: truncate`",
    });
  } else if (rows > 0 && tooLong.length === rows && keptRows === 0) {
    const left = onTooLong === 'truncate' ? 'cut to that length, none has anything to train on' : 'none are left';
    problems.push({ message: `all ${rows} rows are longer than ${maxLength} tokens: ${left}` });
  }
  if (untrained.length > 0) {
    problems.push({
      message: `${untrained.length} of ${rows} rows have nothing to train on (${rowNumbers(untrained)})`,
      hint: 'their answers are empty, or the chat template leaves them out',
    });
  }
  if (withoutEnd > 0 && !allowMissingEnd) {
    problems.push(missingEnd(preflight, tokenizer));
  }
  if (trainedPrompts.length > 0) {
    problems.push({
      message: `in ${trainedPrompts.length} of the first ${Math.min(rows, promptsLookedAt)} rows tokens of the prompt are trained (${rowNumbers(trainedPrompts)})`,
      hint: "the tokenizer's offsets do not match its tokens, or the chat template does not only append",
    });
  }
  if (doubledBos > 0) {
    problems.push({
      message: `${doubledBos} of ${sequences} sequences begin with two beginning-of-sequence tokens`,
      hint: 'the rows contain the token as text: remove it',
    });
  }
  return problems;
}

/** The problem that answers do not end with a token at which generation stops. */
function missingEnd({ sequences, withoutEnd, strayEnd }: Preflight, { endIds, idToToken }: Tokenizer): Problem {
  const found = JSON.stringify(strayEnd);
  const stops = endIds.map((id) => JSON.stringify(idToToken(id) ?? id)).join(' or ');
  return {
    message: `${withoutEnd} of ${sequences} answers end with ${found}, and generation stops ${stops ? `only at ${stops}` : 'at no token'}: a model trained on them does not learn to stop`,
    hint: `if ${found} is the template's end of a turn, list its id under eos_token_id in generation_config.json; else let the template end the assistant's turn with the end token`,
  };
}

function rowNumbers(rows: readonly number[]): string {
  const shown = rows.slice(0, 5).map((row) => row + 1);
  return `row ${shown.join(', ')}${rows.length > shown.length ? ', …' : ''}`;
}

function atMost(problems: readonly Problem[], shown: number): Problem[] {
  const hidden = problems.length - shown;
  return hidden <= 0 ? [...problems] : [...problems.slice(0, shown), { message: `and ${hidden} more problems` }];
}

function emptyPreflight(rows: number): Preflight {
  return {
    rows,
    keptRows: 0,
    sequences: 0,
    tokens: 0,
    trainedTokens: 0,
    longest: 0,
    tooLong: [],
    untrained: [],
    withoutEnd: 0,
    strayEnd: '',
    doubledBos: 0,
    boundaryMerges: 0,
    trainedPrompts: [],
  };
}
