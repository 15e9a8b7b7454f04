import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Sequence } from './batch.ts';
import { encodeFromStart } from './encode.ts';
import { trimmedEnd } from './jinja/space.ts';
import type { ScoredText } from './rows.ts';

/**
 * Ids of a context and its continuation, of which the continuation is trained, as lm-evaluation-harness 0.4.13 takes
 * them: spaces at the end of the context belong to the continuation; both together are tokenised once, and as many
 * tokens are the context's as it has by itself. A context begins with the tokenizer's prefix. An empty one is the
 * beginning-of-sequence token, or the end-of-sequence token where there is none; without either, the first token of the
 * continuation is not scored.
 */
export function encodeScoredText({ context, continuation }: ScoredText, tokenizer: Tokenizer): Sequence {
  if (context === '') return afterPrefixToken(tokenizer.encode(continuation), tokenizer);
  const end = trimmedEnd(context);
  const before = encodeFromStart(context.slice(0, end), tokenizer);
  const whole = encodeFromStart(context + continuation, tokenizer);
  return before.length > 0 ? scored(before, whole.subarray(before.length)) : afterPrefixToken(whole, tokenizer);
}

/** The ids, all of which are trained, after the token that stands for the beginning of a text. */
export function afterPrefixToken(ids: Int32Array, tokenizer: Tokenizer): Sequence {
  const prefix = prefixTokenOf(tokenizer);
  const before = prefix === undefined ? ids.subarray(0, 1) : Int32Array.of(prefix);
  return scored(before, ids[0] === before[0] ? ids.subarray(1) : ids);
}

/** What stands for the beginning of a text: the beginning-of-sequence token, else the end-of-sequence token. */
export const prefixTokenOf = ({ bosId, eosId }: Tokenizer): number | undefined => bosId ?? eosId;

function scored(before: Int32Array, after: Int32Array): Sequence {
  const tokens = Int32Array.of(...before, ...after);
  return { tokens, trained: new Uint8Array(tokens.length).fill(1, before.length) };
}
