import type { SamplingKernels } from '../../kernels/sampling.ts';
import { handleOf } from '../arguments.ts';
import type { Engine } from './engine.ts';

export const samplingKernels = ({ library, engine, op }: Engine): SamplingKernels => ({
  draw({ logits, draws, sequences, samplings, seen, tokens, logProbs }) {
    // biome-ignore format: one line for each group of arguments
    library.enqueue(engine, op.sampleTokens!,
      tokens.size, logits.shape[1]!, samplings.shape[0]!,
      handleOf(logits), handleOf(draws), handleOf(sequences), handleOf(samplings), handleOf(seen),
      handleOf(tokens), handleOf(logProbs));
  },

  fillIn(drawn, tokens) {
    library.enqueue(engine, op.drawnTokens!, tokens.size, drawn.size, handleOf(drawn), handleOf(tokens));
  },
});
