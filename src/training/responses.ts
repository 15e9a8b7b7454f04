import { type Batch, groupsOfTokens, packSequences } from '../data/batch.ts';
import { headOf, hiddenStates, type Model, scoreHeadOf } from '../model/model.ts';
import { scores } from '../model/score-head.ts';
import { tokenLogProbs } from '../tensor/fused/token-log-probs.ts';
import { gather, mul } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Rollout } from './rollout.ts';

type Response = Pick<Rollout, 'prompt' | 'response'>;

/** Responses behind their prompts, packed, and where their tokens are: [tokens] is over the tokens of all responses. */
export interface PackedResponses {
  input: Batch;
  /** Row of the input that predicts each token, [tokens]. */
  rows: Int32Array;
  /** [tokens] */
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

/** log π(token | what stands before it) at the temperature of sampling, [tokens]. */
export function responseLogProbs(policy: Model, { input, rows, tokens }: PackedResponses, temperature: number): Tensor {
  const hidden = gather(hiddenStates(policy, input), fromHost(policy.backend, rows));
  return tokenLogProbs(temperature === 1 ? hidden : mul(hidden, 1 / temperature), headOf(policy), tokens);
}

/** V of the state before each token: the prompt and the response so far, [tokens]. */
export function responseValues(critic: Model, { input, rows }: PackedResponses): Tensor {
  return scores(gather(hiddenStates(critic, input), fromHost(critic.backend, rows)), scoreHeadOf(critic));
}

/** What `compute` gives for the tokens of each response, without gradients. */
export async function ofEachResponse(
  responses: readonly Response[],
  compute: (packed: PackedResponses) => Tensor,
): Promise<Float64Array[]> {
  const results: Float64Array[] = [];
  for (const group of responseGroups(responses)) {
    const tensor = scope(() => compute(packResponses(group)), { adopt: false });
    const values = await tensor.backend.read(tensor);
    tensor.release();
    let start = 0;
    for (const { response } of group) {
      results.push(Float64Array.from(values.subarray(start, start + response.length)));
      start += response.length;
    }
  }
  return results;
}

/** Consecutive responses whose prompts and tokens go through a model together. */
export function responseGroups<R extends Response>(responses: readonly R[]): Generator<R[]> {
  return groupsOfTokens(responses, 8192, ({ prompt, response }) => prompt.length + response.length);
}
