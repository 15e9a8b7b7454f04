import { notFinite } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { modelParameters } from '../model/parameters.ts';
import type { Part } from '../model/part.ts';
import type { HostArray } from '../tensor/backends/backend.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { sumOfSquares } from './sums.ts';

/** Σ x² of each tensor of a checkpoint, by its name. */
export type Squares = ReadonlyMap<string, number>;

/**
 * Σ x² of each tensor of the checkpoint, in double precision: after Post-LN has been trained, gradients of 1e-20 and
 * less, whose squares single precision cannot hold, are what one looks for. `read` gives the elements of one parameter
 * in memory, which may be several tensors of the checkpoint; `what` names them in the error.
 * @throws RunError where one is not finite
 */
export async function squaresOf(
  config: ModelConfig,
  read: (parameter: string) => Promise<HostArray>,
  what: string,
): Promise<Squares> {
  const squares = new Map<string, number>();
  for (const { name, parts } of modelParameters(config)) {
    const values = await read(name);
    let offset = 0;
    for (const part of parts) {
      const end = offset + sizeOf(part.shape);
      const square = sumOfSquares(values, offset, end);
      if (!Number.isFinite(square)) throw notFinite(`the ${what} of ${part.name} are`);
      squares.set(part.name, square);
      offset = end;
    }
  }
  return squares;
}

/** The L2 norm of these tensors together. */
export function normOf(parts: readonly Part[], squares: Squares): number {
  return Math.sqrt(parts.reduce((sum, { name }) => sum + squares.get(name)!, 0));
}
