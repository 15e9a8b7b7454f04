import type { GatedMlpKernels } from '../../kernels/gated-mlp.ts';
import { handleOf, weightHandleOf } from '../arguments.ts';
import { accumulates, type Engine } from './engine.ts';

export const gatedMlpKernels = ({ library, engine, op }: Engine): GatedMlpKernels => ({
  operandSize: (rows, columns) => library.operandSize(engine, rows, columns),

  forward(x, norm, { gateUp, down }, y, saved) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.gatedMlp!, x.shape[0]!, x.shape[1]!, down.shape[1]!,
      handleOf(x), handleOf(norm?.weight), norm?.eps ?? 0, handleOf(saved?.input.normed?.inverseRms),
      weightHandleOf(gateUp), weightHandleOf(down), handleOf(y),
      handleOf(saved?.input.operand), handleOf(saved?.gateUp));
  },

  gradient(dy, { gateUp, down }, { input, gateUp: savedGateUp }, into) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.gatedMlpGradient!, dy.shape[0]!, dy.shape[1]!, down.shape[1]!,
      handleOf(dy),
      handleOf(input.normed?.x), handleOf(input.normed?.norm.weight), input.normed?.norm.eps ?? 0,
      handleOf(input.normed?.inverseRms),
      handleOf(input.operand), handleOf(savedGateUp), handleOf(gateUp), handleOf(down),
      accumulates(into.x), handleOf(into.x?.tensor), accumulates(into.norm), handleOf(into.norm?.tensor),
      accumulates(into.gateUp), handleOf(into.gateUp?.tensor), accumulates(into.down), handleOf(into.down?.tensor));
  },
});
