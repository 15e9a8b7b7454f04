import { type Problem, RequestError } from '../errors.ts';
import type { Sampling } from '../tensor/backends/kernels/sampling.ts';

/** A text to be generated. What it becomes depends on this alone, not on what is generated beside it. */
export interface GenerationRequest {
  /** Token ids, not empty. */
  prompt: Int32Array;
  /** New tokens, at most. */
  maxNewTokens: number;
  /** Ids that end the text. */
  stopIds: readonly number[];
  /** Default: greedy. */
  sampling?: Sampling;
  /** Of the draws, default 0. */
  seed?: number;
  /** Tells texts of one seed apart, default 0: each index has draws of its own. */
  index?: number;
  /** Report the log-probability of each token. */
  logProbs?: boolean;
  /** What errors call the prompt, such as `prompt 3`. */
  name?: string;
  /** Gives the text up: no more tokens come. */
  signal?: AbortSignal;
}

/** A token of a text that is being generated. */
export interface GeneratedToken {
  id: number;
  /** Where asked for: at the temperature that it was drawn at, over the whole vocabulary. */
  logProb?: number;
  /** Why it is the last: it is one of `stopIds`, or the text has `maxNewTokens`. */
  end?: 'stop' | 'length';
}

/** A request with all that it left open. */
export type WholeRequest = Required<Omit<GenerationRequest, 'signal'>>;

/** Bounds within which a request has to stay. */
export interface RequestBounds {
  vocabulary: number;
  /** Tokens of prompt and new text together. */
  capacity: number;
}

/** What a number has to be. Told by hand: a schema would take longer than a small model's step. */
interface Rule {
  holds(value: number): boolean;
  expected: string;
}

const whole: Rule = { holds: (x) => Number.isInteger(x) && x >= 0, expected: 'a whole number of at least 0' };
const samplingRules: Record<keyof Sampling, Rule> = {
  repetitionPenalty: { holds: (x) => x > 0 && x < Number.POSITIVE_INFINITY, expected: 'a number above 0' },
  temperature: { holds: (x) => x >= 0 && x < Number.POSITIVE_INFINITY, expected: 'a number of at least 0' },
  topK: whole,
  topP: { holds: (x) => x > 0 && x <= 1, expected: 'a number above 0 and up to 1' },
  minP: { holds: (x) => x >= 0 && x <= 1, expected: 'a number from 0 to 1' },
};

/** @throws RequestError where a request cannot be computed as it is */
export function checkRequest(request: WholeRequest, bounds: RequestBounds): void {
  const { maxNewTokens, seed, index, sampling } = request;
  const problems = [
    ...Object.entries({ maxNewTokens, seed, index }).flatMap(([key, value]) => problemOf(key, value, whole)),
    ...Object.entries(samplingRules).flatMap(([key, rule]) =>
      problemOf(`sampling.${key}`, sampling[key as keyof Sampling], rule),
    ),
    ...promptProblems(request, bounds),
  ];
  if (problems.length > 0) throw new RequestError(problems);
}

function problemOf(where: string, value: number, { holds, expected }: Rule): Problem[] {
  return typeof value === 'number' && holds(value)
    ? []
    : [{ where, message: `found ${String(value)}, expected ${expected}` }];
}

function promptProblems(
  { prompt, maxNewTokens, name }: WholeRequest,
  { vocabulary, capacity }: RequestBounds,
): Problem[] {
  if (prompt.length === 0) return [{ message: `${name} is empty`, hint: 'give it a token to begin with' }];
  const unknown = prompt.find((id) => id < 0 || id >= vocabulary);
  if (unknown !== undefined) {
    const message = `${name} holds token id ${unknown}, but the model has tokens 0 to ${vocabulary - 1}`;
    return [{ message, hint: 'use the tokenizer that the model was trained with' }];
  }
  if (prompt.length + maxNewTokens <= capacity) return [];
  const message = `${name} has ${prompt.length} tokens and up to ${maxNewTokens} more are generated, but the session holds ${capacity} of each text`;
  return [{ message, hint: 'lower maxNewTokens, shorten the prompt, or open the session with a larger capacity' }];
}
