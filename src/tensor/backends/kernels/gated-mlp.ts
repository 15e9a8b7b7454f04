import type { Tensor } from '../../tensor.ts';
import type { Gradients } from './gradient.ts';
import type { Norm } from './rms-norm.ts';
import type { SavedInput, SubLayerKernels } from './sub-layer.ts';

export interface MlpWeights {
  /** [2·I, hidden], gate in the first I rows */
  gateUp: Tensor;
  /** [hidden, I] */
  down: Tensor;
}

/** What the gradient of a gated MLP needs of its forward pass. */
export interface SavedMlp {
  input: SavedInput;
  /** Operand [rows, 2·I] */
  gateUp: Tensor;
}

export interface GatedMlpKernels extends SubLayerKernels {
  /**
   * y = down · (silu(gate · n) ∘ (up · n)) for n = norm(x), or x without a norm; x, y [rows, hidden]. Fills `saved`
   * where it is given.
   */
  forward(x: Tensor, norm: Norm | undefined, weights: MlpWeights, y: Tensor, saved?: SavedMlp): void;
  /** The gradient of x may be added to dy itself. */
  gradient(dy: Tensor, weights: MlpWeights, saved: SavedMlp, into: Gradients<'x' | 'norm' | 'gateUp' | 'down'>): void;
}
