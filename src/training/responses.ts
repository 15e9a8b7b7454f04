import { type Batch, groupsOfTokens, packSequences } from '../data/batch.ts';
import { RunError } from '../errors.ts';
import { headOf, hiddenStates, type Model, scoreHeadOf } from '../model/model.ts';
import { scores } from '../model/score-head.ts';
import { tokenLogProbs } from '../tensor/fused/token-log-probs.ts';
import { add, gather, mul } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Rollout } from './rollout.ts';

type Response = Pick<Rollout, 'prompt' | 'response'>;

/** Prompts with their responses, packed into one batch. [tokens] means the tokens of all responses. */
export interface PackedResponses {
  input: Batch;
  /** The row of the input that predicts each token, [tokens]. */
  rows: Int32Array;
  /** Token ids, [tokens]. */
  tokens: Int32Array;
}

export function packResponses(responses: readonly Response[]): PackedResponses {
  const input = packSequences(
    responses.map(({ prompt, response }) => {
      const tokens = new Int32Array(prompt.length + response.length);
      tokens.set(prompt);
      tokens.set(response, prompt.length);
      return { tokens, trained: new Uint8Array(tokens.length).fill(1, prompt.length) };
    }),
  );
  const rows = Int32Array.from([...input.targets.keys()].filter((row) => input.targets[row]! >= 0));
  return { input, rows, tokens: rows.map((row) => input.targets[row]!) };
}

/** Final hidden states of the rows that predict the tokens, [tokens, hidden]. */
export function responseStates(model: Model, { input, rows }: PackedResponses): Tensor {
  return gather(hiddenStates(model, input), fromHost(model.backend, rows));
}

/** Divides hidden states by the temperature of sampling, which divides their logits by it. */
export const atTemperature = (states: Tensor, temperature: number): Tensor =>
  temperature === 1 ? states : mul(states, 1 / temperature);

/** log π of each token given those before it, at the temperature of sampling, [tokens]. */
export function responseLogProbs(policy: Model, packed: PackedResponses, temperature: number): Tensor {
  return tokenLogProbs(atTemperature(responseStates(policy, packed), temperature), headOf(policy), packed.tokens);
}

/** V of the state before each token, which is the prompt and the response so far, [tokens]. */
export function responseValues(critic: Model, packed: PackedResponses, offset = 0): Tensor {
  return valuesOf(critic, responseStates(critic, packed), offset);
}

/** The scores of hidden states plus an offset, such as that of the reward model that a critic was initialised from. */
export function valuesOf(critic: Model, states: Tensor, offset: number): Tensor {
  const values = scores(states, scoreHeadOf(critic));
  return offset === 0 ? values : add(values, offset);
}

/** Runs `compute`, which returns [tokens], without gradients, and splits its results by response. */
export async function ofEachResponse(
  responses: readonly Response[],
  compute: (packed: PackedResponses) => Tensor,
): Promise<Float64Array[]> {
  const results: Float64Array[] = [];
  for (const group of responseGroups(responses)) {
    const tensor = scope(() => compute(packResponses(group)), { adopt: false });
    const values = await tensor.backend.read(tensor);
    tensor.release();
    assertOnlyResponses(values.length, group);
    let start = 0;
    for (const { response } of group) {
      results.push(Float64Array.from(values.subarray(start, start + response.length)));
      start += response.length;
    }
  }
  return results;
}

/** Groups consecutive responses that go through a model together: at most `tokensAtOnce` tokens, prompts included. */
export function responseGroups<R extends Response>(responses: readonly R[], tokensAtOnce = 8192): Generator<R[]> {
  return groupsOfTokens(responses, tokensAtOnce, ({ prompt, response }) => prompt.length + response.length);
}

/** Checks that only the tokens of responses are learned from, not those of prompts. @throws RunError */
export function assertOnlyResponses(tokens: number, responses: readonly Response[]): void {
  const expected = responses.reduce((sum, { response }) => sum + response.length, 0);
  if (tokens === expected) return;
  throw new RunError(`values for ${tokens} tokens were computed, but the responses have ${expected} tokens`, {
    hint: 'the mask includes tokens of prompts or padding, or hides tokens of responses',
  });
}
