import { RunError } from '../errors.ts';
import { type Model, type Trainable, trainablesOf } from '../model/model.ts';
import { adamW, addSquaredNorm } from '../tensor/fused/adamw.ts';
import { filled } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type UpdateOptions, warmupStepsOf } from './options.ts';
import { alone, type Ranks } from './ranks.ts';
import { scheduleFactor } from './schedule.ts';

/** What is trained, and the gradients that the tape adds to, under the same names. */
export interface Gradients {
  /** What runs forward; not all that it computes with has to be trained, nor has all that is trained to be its own. */
  model: Model;
  trainables: ReadonlyMap<string, Trainable>;
  /** Who computes the gradients. */
  ranks: Ranks;
  /** Updates done. */
  step: number;
  /** Layers run again for their gradients: less memory, a third more time. */
  recompute: boolean;
  gradients: Map<string, Tensor>;
}

/**
 * What is trained, with its gradients and moments; all maps have the same names. After an update the gradients are
 * blank: what they hold, which is the sum over the ranks that the update was made from, counts as zero.
 */
export interface Optimizer extends Gradients {
  firstMoments: Map<string, Tensor>;
  secondMoments: Map<string, Tensor>;
  /** [1], Σ of squares of all gradients of the update. */
  sumOfSquares: Tensor;
}

export interface GradientOptions {
  /** All parameters of the model where it is left out. */
  trainables?: ReadonlyMap<string, Trainable>;
  recompute?: boolean;
  ranks?: Ranks | undefined;
}

/** Gradients of zero, without a way to update what they are of. */
export function newGradients(
  model: Model,
  { trainables = trainablesOf(model), recompute = false, ranks = alone }: GradientOptions = {},
): Gradients {
  return { model, trainables, ranks, step: 0, recompute, gradients: zerosFor(model, trainables) };
}

/** AdamW from the start: moments and gradients zero. */
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
  /** Global norm before clipping. */
  gradientNorm: number;
}

/**
 * One AdamW update from the gathered gradients of all ranks, which are blank afterwards. A norm that is not finite is
 * an error: the weights are lost, the last saved state is not.
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
