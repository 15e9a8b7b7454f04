import { z } from 'zod';
import type { Sequence } from '../data/batch.ts';
import { flopsPerToken } from '../model/flops.ts';
import type { Model } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import { RandomStream } from '../random.ts';
import type { OperationCost } from '../tensor/backends/backend.ts';
import { languageModelLoss } from '../training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../training/optimizer.ts';
import { trainingOptions } from '../training/options.ts';
import { costsSince, costsSoFar } from './operation-costs.ts';

export interface TrainingSpeed {
  /** Speed of the fastest step, because other load on the machine can only make a step slower. */
  tokensPerSecond: number;
  /** Arithmetic of the model in that step, in 10⁹ operations per second. */
  gflops: number;
  /** Duration of each timed step. */
  stepSeconds: number[];
  parameters: number;
  /** Peak resident memory of the process. */
  peakRssBytes: number;
  /** Cost of each operation over the timed steps; empty if the backend does not count. */
  costs: OperationCost[];
}

/**
 * Times training steps (forward, backward, clipping, AdamW) on random tokens, after a warm-up step. The model is
 * changed.
 */
export async function trainingSpeed(
  model: Model,
  { batch, length, steps, recompute }: { batch: number; length: number; steps: number; recompute: boolean },
): Promise<TrainingSpeed> {
  const { config, backend } = model;
  const optimizer = newOptimizer(model, { recompute });
  const random = new RandomStream(1, 'bench');
  const sequences = Array.from({ length: batch }, () => randomSequence(length + 1, config.vocabSize, random));
  const step = async () => {
    await languageModelLoss(optimizer, [sequences]);
    await update(optimizer, optimizerOptions, steps);
    await backend.sync();
  };
  const stepSeconds: number[] = [];
  try {
    await step();
    const before = await costsSoFar(backend);
    for (let i = 0; i < steps; i++) {
      const begun = performance.now();
      await step();
      stepSeconds.push((performance.now() - begun) / 1000);
    }
    const tokensPerSecond = (batch * length) / Math.min(...stepSeconds);
    return {
      tokensPerSecond,
      gflops: (tokensPerSecond * flopsPerToken(config, length)) / 1e9,
      stepSeconds,
      parameters: parameterCount(config),
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      costs: await costsSince(before, backend),
    };
  } finally {
    releaseOptimizer(optimizer);
  }
}

const optimizerOptions = z
  .object(trainingOptions({ batchSize: 1, lr: 1e-4, warmup: 0, weightDecay: 0.1 }))
  .parse({ schedule: 'constant' });

function randomSequence(length: number, vocabSize: number, random: RandomStream): Sequence {
  const tokens = Int32Array.from({ length }, () => random.integer(vocabSize));
  return { tokens, trained: new Uint8Array(length).fill(1).fill(0, 0, 1) };
}
