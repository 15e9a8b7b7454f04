import { notFinite } from '../errors.ts';
import type { Layer } from '../model/layer-weights.ts';
import { headOf, hiddenStates, type Model } from '../model/model.ts';
import { crossEntropy } from '../tensor/fused/cross-entropy.ts';
import { scope } from '../tensor/scope.ts';
import type { ForwardPass, RunningAnalysis } from './analysis.ts';

/** Another way through a model: it leaves the model's own at a depth, goes through these layers, and to the head. */
export interface Path {
  /** Depth of the residual stream that it begins with: 0 is the embedding. */
  from: number;
  layers: readonly Layer[];
  /** For an error: `without layer 3`. */
  what: string;
}

/** Mean cross-entropies in nats a token on each of the paths: loss [paths]. */
export function lossesOn(model: Model, paths: readonly Path[]): RunningAnalysis<{ loss: number[] }> {
  const sums = new Float64Array(paths.length);
  let tokens = 1;
  return {
    async add(pass) {
      tokens = pass.totalTokens;
      for (const [i, path] of paths.entries()) sums[i]! += await lossOn(path, model, pass);
    },
    result: () => ({ loss: Array.from(sums, (sum) => sum / tokens) }),
  };
}

/** The sum over the targets of a pass. @throws RunError where it is not finite */
async function lossOn({ from, layers, what }: Path, model: Model, { streams, batch }: ForwardPass): Promise<number> {
  const { targets } = batch;
  const weights = new Float32Array(targets.length).fill(1);
  const stream = { from: streams[from]!.tensor };
  const loss = scope(
    () => crossEntropy(hiddenStates({ ...model, layers }, batch, stream), headOf(model), targets, weights),
    { adopt: false },
  );
  const [value] = await model.backend.read(loss);
  loss.release();
  if (!Number.isFinite(value)) throw notFinite(`the log-probabilities ${what} are`);
  return value!;
}
