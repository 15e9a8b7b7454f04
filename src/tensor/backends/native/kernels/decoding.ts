import type { DecodingKernels } from '../../kernels/decoding.ts';
import { handleOf, weightHandleOf } from '../arguments.ts';
import type { Engine } from './engine.ts';

export const decodingKernels = ({ library, engine, op, rotaries }: Engine): Required<DecodingKernels> => ({
  cacheShapes(headDim, capacity) {
    const [keyPanels, keyWidth, valuePanels, valueWidth] = library.cacheLayout(engine, headDim, capacity);
    return { keys: [keyPanels, keyWidth], values: [valuePanels, valueWidth] };
  },

  selfAttention({ x, norm, weights: { qkv, o }, rows, cache: { keys, values }, shape, y }) {
    const { heads, kvHeads, headDim, rotary } = shape;
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.cachedSelfAttention!,
      rows.positions.size, keys.shape[0]!, keys.shape[2]!, heads, kvHeads, headDim, rotaries.numberOf(rotary),
      x.shape[1]!, norm?.eps ?? 0,
      handleOf(rows.sequences), handleOf(rows.positions), handleOf(x), handleOf(norm?.weight),
      weightHandleOf(qkv), weightHandleOf(o), handleOf(y), handleOf(keys), handleOf(values));
  },

  layer({ stream, weights, rows, cache: { keys, values }, shape, eps, postNorm, wanted }) {
    const { attentionNorm, qkv, o, mlpNorm, gateUp, down } = weights;
    const { heads, kvHeads, headDim, rotary } = shape;
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.decoderLayer!,
      rows.positions.size, wanted?.size ?? 0, keys.shape[0]!, keys.shape[2]!,
      heads, kvHeads, headDim, rotaries.numberOf(rotary),
      stream.shape[1]!, down.shape[1]!, eps, Number(postNorm),
      handleOf(stream), handleOf(rows.sequences), handleOf(rows.positions), handleOf(wanted),
      handleOf(attentionNorm), weightHandleOf(qkv), weightHandleOf(o),
      handleOf(mlpNorm), weightHandleOf(gateUp), weightHandleOf(down),
      handleOf(keys), handleOf(values));
  },

  nextLogits(stream, rows, { weight, eps }, head, logits) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.nextLogits!,
      stream.shape[0]!, rows.size, head.shape[1]!, head.shape[0]!, eps,
      handleOf(stream), handleOf(rows), handleOf(weight), weightHandleOf(head), handleOf(logits));
  },
});
