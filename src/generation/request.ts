import { type Problem, RequestError } from '../errors.ts';
import type { Sampling } from '../tensor/backends/kernels/sampling.ts';

/** A text to generate. The result depends on the request alone, not on what is generated at the same time. */
export interface GenerationRequest {
  /** Token ids, not empty. */
  prompt: Int32Array;
  /** Maximum number of new tokens. */
  maxNewTokens: number;
  /** Ids that end the text. */
  stopIds: readonly number[];
  /** Default: greedy. */
  sampling?: Sampling;
  /** Seed of the random numbers, default 0. */
  seed?: number;
  /** Distinguishes texts with the same seed, default 0: each index has its own random numbers. */
  index?: number;
  /** Report the log-probability of each token. */
  logProbs?: boolean;
  /** What error messages call the prompt, such as `prompt 3`. */
  name?: string;
  /** Cancels the request: no more tokens follow. */
  signal?: AbortSignal;
}

/** A token of a text that is being generated. */
export interface GeneratedToken {
  id: number;
  /** If requested: log-probability over the whole vocabulary, at the temperature it was sampled with. */
  logProb?: number;
  /** Why it is the last token: it is one of `stopIds`, or the text has reached `maxNewTokens`. */
  end?: 'stop' | 'length';
}

/** A request with the defaults of all options filled in. */
export type WholeRequest = Required<Omit<GenerationRequest, 'signal'>>;

/** Limits that a request must respect. */
export interface RequestBounds {
  vocabulary: number;
  /** Maximum number of tokens of the prompt and the new text together. */
  capacity: number;
}

/** A condition on a number. Checked by hand, because a schema would take longer than a step of a small model. */
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

/** @throws RequestError with everything that is wrong with the request */
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
    const message = `${name} contains token id ${unknown}, but the model has tokens 0 to ${vocabulary - 1}`;
    return [{ message, hint: 'use the tokenizer that the model was trained with' }];
  }
  if (prompt.length + maxNewTokens <= capacity) return [];
  const message = `${name} has ${prompt.length} tokens and up to ${maxNewTokens} more are generated, but the session holds ${capacity} of each text`;
  return [{ message, hint: 'lower maxNewTokens, shorten the prompt, or open the session with a larger capacity' }];
}
