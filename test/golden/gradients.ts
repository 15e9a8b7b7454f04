import { headOf, hiddenStates, type Model } from '../../src/model/model.ts';
import { modelParameters } from '../../src/model/parameters.ts';
import type { HostArray } from '../../src/tensor/backends/backend.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { filled } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';

/**
 * Gradients of the mean next-token loss of one sequence, by checkpoint name. The weights of its terms are float32, so
 * their number should be a power of two to keep them exact.
 */
export async function gradientsOfLoss(
  model: Model,
  tokens: Int32Array,
  options: { recompute?: boolean } = {},
): Promise<Map<string, HostArray>> {
  const { backend, config } = model;
  const leaves = new Map([...model.parameters.values()].map((tensor) => [tensor, filled(backend, tensor.shape, 0)]));
  const tape = new Tape(leaves, options);
  const input = { tokens, positions: tokens.map((_, i) => i), segments: Int32Array.of(0, tokens.length) };
  const targets = Int32Array.of(...tokens.subarray(1), -1);
  const weights = new Float32Array(tokens.length).fill(1 / (tokens.length - 1));
  const loss = tape.record(() => crossEntropy(hiddenStates(model, input), headOf(model), targets, weights));
  tape.backward(loss);
  loss.release();
  const gradients = new Map<string, HostArray>();
  for (const { name, parts } of modelParameters(config)) {
    const gradient = leaves.get(model.parameters.get(name)!)!;
    const values = await backend.read(gradient);
    gradient.release();
    let offset = 0;
    for (const part of parts) {
      gradients.set(part.name, values.subarray(offset, offset + sizeOf(part.shape)));
      offset += sizeOf(part.shape);
    }
  }
  return gradients;
}
