import type { SelfAttentionKernels } from '../../kernels/self-attention.ts';
import { handleOf, weightHandleOf } from '../arguments.ts';
import { accumulates, type Engine } from './engine.ts';

export const selfAttentionKernels = ({ library, engine, op, rotaries }: Engine): SelfAttentionKernels => ({
  operandSize: (rows, columns) => library.operandSize(engine, rows, columns),

  forward({ x, norm, weights: { qkv, o }, rows: { positions, segments }, shape, y, saved }) {
    const { heads, kvHeads, headDim, rotary } = shape;
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.selfAttention!,
      positions.size, segments.size - 1, heads, kvHeads, headDim, rotaries.numberOf(rotary),
      handleOf(positions), handleOf(segments),
      x.shape[1]!,
      handleOf(x), handleOf(norm?.weight), norm?.eps ?? 0, handleOf(saved?.input.normed?.inverseRms),
      weightHandleOf(qkv), weightHandleOf(o), handleOf(y),
      handleOf(saved?.input.operand), handleOf(saved?.qkv), handleOf(saved?.out), handleOf(saved?.logSumExp));
  },

  gradient({ dy, weights: { qkv, o }, rows: { positions, segments }, shape, saved, into }) {
    const { heads, kvHeads, headDim, rotary } = shape;
    const { input, out, logSumExp } = saved;
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.selfAttentionGradient!,
      positions.size, segments.size - 1, heads, kvHeads, headDim, rotaries.numberOf(rotary),
      handleOf(positions), handleOf(segments),
      dy.shape[1]!,
      handleOf(dy),
      handleOf(input.normed?.x), handleOf(input.normed?.norm.weight), input.normed?.norm.eps ?? 0,
      handleOf(input.normed?.inverseRms),
      handleOf(input.operand), handleOf(saved.qkv), handleOf(out), handleOf(logSumExp),
      handleOf(qkv), handleOf(o),
      accumulates(into.x), handleOf(into.x?.tensor), accumulates(into.norm), handleOf(into.norm?.tensor),
      accumulates(into.qkv), handleOf(into.qkv?.tensor), accumulates(into.o), handleOf(into.o?.tensor));
  },
});
