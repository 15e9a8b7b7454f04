import type { AdamWKernels } from '../../kernels/adamw.ts';
import { handleOf } from '../arguments.ts';
import type { Engine } from './engine.ts';

export const adamWKernels = ({ library, engine, op }: Engine): AdamWKernels => ({
  addSquaredNorm(x, sumOfSquares) {
    library.enqueue(engine, op.addSquaredNorm!, x.size, handleOf(x), handleOf(sumOfSquares));
  },

  update({ parameter, gradient, firstMoment, secondMoment, sumOfSquares }, of) {
    const { learningRate, beta1, beta2, epsilon, weightDecay, step, maxNorm } = of;
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.adamW!,
      parameter.size, learningRate, beta1, beta2, epsilon, weightDecay, step, maxNorm,
      handleOf(parameter), handleOf(gradient), handleOf(firstMoment), handleOf(secondMoment), handleOf(sumOfSquares));
  },
});
