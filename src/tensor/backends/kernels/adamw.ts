import type { Tensor } from '../../tensor.ts';

export interface AdamWStep {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Decoupled decay, already resolved for this parameter (0 for norms). */
  weightDecay: number;
  /** 1-based update count for the bias correction. */
  step: number;
  /** Gradients are scaled by min(1, maxNorm / √sumOfSquares); 0 turns clipping off. */
  maxNorm: number;
}

/** A parameter with its gradient and moments, all of the same shape, and Σ gradient² over all parameters [1]. */
export interface AdamWTensors {
  parameter: Tensor;
  gradient: Tensor;
  firstMoment: Tensor;
  secondMoment: Tensor;
  sumOfSquares: Tensor;
}

export interface AdamWKernels {
  /** sumOfSquares [1] += Σ x², summed in a fixed order. */
  addSquaredNorm(x: Tensor, sumOfSquares: Tensor): void;
  /** Updates a parameter and its moments in place. */
  update(tensors: AdamWTensors, step: AdamWStep): void;
}
