import type { Batch } from '../data/batch.ts';
import { notFinite } from '../errors.ts';
import type { Layer } from '../model/layer-weights.ts';
import { headOf, hiddenStates, type Model } from '../model/model.ts';
import { crossEntropy } from '../tensor/fused/cross-entropy.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Cross-entropy in nats, summed over the batch's targets, of a residual stream [rows, hidden] that goes through these
 * layers, the final norm and the head.
 * @throws RunError where it is not finite; `what` names it
 */
export async function lossFrom(
  stream: Tensor,
  layers: readonly Layer[],
  { model, batch, what }: { model: Model; batch: Batch; what: string },
): Promise<number> {
  const { targets } = batch;
  const weights = new Float32Array(targets.length).fill(1);
  const loss = scope(
    () => crossEntropy(hiddenStates({ ...model, layers }, batch, { from: stream }), headOf(model), targets, weights),
    { adopt: false },
  );
  const [value] = await model.backend.read(loss);
  loss.release();
  if (!Number.isFinite(value)) throw notFinite(`the log-probabilities ${what} are`);
  return value!;
}
