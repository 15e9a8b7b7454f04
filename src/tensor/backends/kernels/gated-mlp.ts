import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';
import type { Norm } from './rms-norm.ts';
import type { SavedInput, SubLayerKernels } from './sub-layer.ts';

export interface MlpWeights {
  /** [2·I, hidden], with gate in the first I rows. */
  gateUp: Tensor;
  /** [hidden, I]. */
  down: Tensor;
}

/** What the gradient of a gated MLP needs from its forward pass. */
export interface SavedMlp {
  input: SavedInput;
  /** Results of the first product as an operand, [rows, 2·I]. */
  gateUp: Tensor;
}

export interface GatedMlpKernels extends SubLayerKernels {
  /**
   * y = down · (silu(gate · n) ∘ (up · n)) with n = norm(x), or n = x without a norm; x, y [rows, hidden]. Fills
   * `saved` if it is given.
   */
  forward(x: Tensor, norm: Norm | undefined, weights: MlpWeights, y: Tensor, saved?: SavedMlp): void;
  /** Computes the gradients of the inputs. The target of x may be dy itself. */
  gradient(dy: Tensor, weights: MlpWeights, saved: SavedMlp, into: Gradients<'x' | 'norm' | 'gateUp' | 'down'>): void;
}
