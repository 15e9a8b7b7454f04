import type { LinearKernels } from '../../kernels/linear.ts';
import { handleOf, weightHandleOf } from '../arguments.ts';
import { accumulates, type Engine } from './engine.ts';

export const linearKernels = ({ library, engine, op }: Engine): LinearKernels => ({
  forward(x, w, y) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.linear!, x.shape[0]!, w.shape[1]!, w.shape[0]!,
      handleOf(x), weightHandleOf(w), handleOf(y));
  },

  inputGradient(dy, w, dx) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.linearInputGradient!,
      dy.shape[0]!, w.shape[1]!, w.shape[0]!, accumulates(dx),
      handleOf(dy), weightHandleOf(w), handleOf(dx.tensor));
  },

  weightGradient(dy, x, dw) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.linearWeightGradient!,
      dy.shape[0]!, dw.tensor.shape[1]!, dw.tensor.shape[0]!, accumulates(dw),
      handleOf(dy), handleOf(x), handleOf(dw.tensor));
  },
});
