import type { RmsNormKernels } from '../../kernels/rms-norm.ts';
import { handleOf } from '../arguments.ts';
import { accumulates, type Engine } from './engine.ts';

export const rmsNormKernels = ({ library, engine, op }: Engine): RmsNormKernels => ({
  forward(x, { weight, eps }, y, inverseRms) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.rmsNorm!, inverseRms.size, weight.size, eps,
      handleOf(x), handleOf(weight), handleOf(y), handleOf(inverseRms));
  },

  gradient(dy, { x, weight, inverseRms }, into) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.rmsNormGradient!, inverseRms.size, weight.size,
      handleOf(dy), handleOf(x), handleOf(weight), handleOf(inverseRms),
      accumulates(into.x), handleOf(into.x?.tensor), accumulates(into.weight), handleOf(into.weight?.tensor));
  },
});
