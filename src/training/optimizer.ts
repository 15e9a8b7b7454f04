import { RunError } from '../errors.ts';
import { type Model, type Trainable, trainablesOf } from '../model/model.ts';
import { adamW, addSquaredNorm } from '../tensor/fused/adamw.ts';
import { filled } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type UpdateOptions, warmupStepsOf } from './options.ts';
import { alone, type Ranks } from './ranks.ts';
import { scheduleFactor } from './schedule.ts';

/** The tensors that are trained, and the gradients that the tape adds to, under the same names. */
export interface Gradients {
  /** The model of the forward pass. It may have weights that are not trained, and trainables need not belong to it. */
  model: Model;
  trainables: ReadonlyMap<string, Trainable>;
  /** The processes that compute the gradients together. */
  ranks: Ranks;
  /** Number of updates so far. */
  step: number;
  /** Whether layers are recomputed in the backward pass, which takes less memory and a third more time. */
  recompute: boolean;
  gradients: Map<string, Tensor>;
}

/**
 * The tensors that are trained, with their gradients and moments; all maps have the same names. After an update the
 * gradients are blank: they still hold the sums over the ranks that the update was made from, but count as zero.
 */
export interface Optimizer extends Gradients {
  firstMoments: Map<string, Tensor>;
  secondMoments: Map<string, Tensor>;
  /** Sum of the squares of all gradients of the update, [1]. */
  sumOfSquares: Tensor;
}

export interface GradientOptions {
  /** Default: all parameters of the model. */
  trainables?: ReadonlyMap<string, Trainable>;
  recompute?: boolean;
  ranks?: Ranks | undefined;
}

/** Gradients of zero for some trainables, without the moments that an update would need. */
export function newGradients(
  model: Model,
  { trainables = trainablesOf(model), recompute = false, ranks = alone }: GradientOptions = {},
): Gradients {
  return { model, trainables, ranks, step: 0, recompute, gradients: zerosFor(model, trainables) };
}

/** An AdamW optimiser whose moments and gradients are zero. */
export function newOptimizer(model: Model, options: GradientOptions = {}): Optimizer {
  const gradients = newGradients(model, options);
  return {
    ...gradients,
    firstMoments: zerosFor(model, gradients.trainables),
    secondMoments: zerosFor(model, gradients.trainables),
    sumOfSquares: filled(model.backend, [1], 0),
  };
}

function zerosFor({ backend }: Model, trainables: Gradients['trainables']): Map<string, Tensor> {
  return new Map([...trainables].map(([name, { tensor }]) => [name, filled(backend, tensor.shape, 0)]));
}

export function releaseGradients({ gradients }: Gradients): void {
  for (const tensor of gradients.values()) tensor.release();
}

export function releaseOptimizer(optimizer: Optimizer): void {
  releaseGradients(optimizer);
  for (const moments of [optimizer.firstMoments, optimizer.secondMoments]) {
    for (const tensor of moments.values()) tensor.release();
  }
  optimizer.sumOfSquares.release();
}

export interface UpdateReport {
  learningRate: number;
  /** Global L2 norm before clipping. */
  gradientNorm: number;
}

/**
 * One AdamW update (Loshchilov and Hutter 2019) with gradient clipping, from the summed gradients of all ranks, which
 * are blank afterwards.
 * @throws RunError if the gradient norm is not finite; the weights are then lost, but not the last saved state
 */
export async function update(optimizer: Optimizer, options: UpdateOptions, totalSteps: number): Promise<UpdateReport> {
  const { trainables, gradients, sumOfSquares, ranks } = optimizer;
  const { backend } = sumOfSquares;
  const step = optimizer.step + 1;
  const warmupSteps = warmupStepsOf(options, totalSteps);
  const learningRate = options.lr * scheduleFactor({ ...options, warmupSteps, totalSteps }, step);

  for (const gradient of gradients.values()) if (gradient.blank) backend.fill(gradient, 0);
  await ranks.sumGradients(gradients.values());
  backend.fill(sumOfSquares, 0);
  for (const gradient of gradients.values()) addSquaredNorm(gradient, sumOfSquares);
  for (const [name, { tensor, decays }] of trainables) {
    const [gradient, first, second] = [
      gradients.get(name)!,
      optimizer.firstMoments.get(name)!,
      optimizer.secondMoments.get(name)!,
    ];
    adamW(tensor, gradient, first, second, sumOfSquares, {
      learningRate,
      beta1: options.beta1,
      beta2: options.beta2,
      epsilon: options.epsilon,
      weightDecay: decays ? options.weightDecay : 0,
      step,
      maxNorm: options.clip,
    });
    gradient.blank = true;
  }
  optimizer.step = step;
  const gradientNorm = Math.sqrt((await backend.read(sumOfSquares))[0]!);
  if (!Number.isFinite(gradientNorm)) {
    throw new RunError(`the gradient norm of step ${step} is ${gradientNorm}`, {
      hint: 'lower lr, lengthen warmup or set clip; the last saved state is kept',
      diverged: true,
    });
  }
  return { learningRate, gradientNorm };
}
