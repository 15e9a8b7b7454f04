import type { CrossEntropyKernels, TokenLogProbsKernels } from '../../kernels/head.ts';
import { handleOf, weightHandleOf } from '../arguments.ts';
import { accumulates, type Engine } from './engine.ts';

export const tokenLogProbsKernels = ({ library, engine, op }: Engine): TokenLogProbsKernels => ({
  forward({ hidden, head, targets }, logProbs, logSumExp) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.tokenLogProbs!, targets.size, head.shape[1]!, head.shape[0]!,
      handleOf(hidden), weightHandleOf(head), handleOf(targets), handleOf(logProbs), handleOf(logSumExp));
  },

  gradient(dLogProbs, { hidden, head, targets }, logSumExp, into) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.tokenLogProbsGradient!,
      targets.size, head.shape[1]!, head.shape[0]!, accumulates(into.hidden), accumulates(into.head),
      handleOf(dLogProbs), handleOf(hidden), weightHandleOf(head), handleOf(targets), handleOf(logSumExp),
      handleOf(into.hidden?.tensor), handleOf(into.head?.tensor));
  },
});

export const crossEntropyKernels = ({ library, engine, op }: Engine): CrossEntropyKernels => ({
  withGradient({ hidden, head, targets }, weights, loss, into) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.crossEntropyWithGradient!,
      targets.size, head.shape[1]!, head.shape[0]!,
      accumulates(into.hidden), accumulates(into.head),
      handleOf(hidden), weightHandleOf(head), handleOf(targets), handleOf(weights),
      handleOf(loss), handleOf(into.hidden?.tensor), handleOf(into.head?.tensor));
  },
});
