import { z } from 'zod';
import type { Sequence } from '../data/batch.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { parameterCount } from '../model/parameters.ts';
import { RandomStream } from '../random.ts';
import type { OperationCost } from '../tensor/backends/backend.ts';
import { languageModelLoss } from '../training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../training/optimizer.ts';
import { trainingOptions } from '../training/options.ts';
import { costsSince, costsSoFar } from './operation-costs.ts';

export interface TrainingSpeed {
  /** Of the fastest step: what else the machine does only ever makes a step slower. */
  tokensPerSecond: number;
  /** Model arithmetic of that step in 10⁹ operations a second. */
  gflops: number;
  /** Of each timed step. */
  stepSeconds: number[];
  parameters: number;
  /** Most memory that the process has held. */
  peakRssBytes: number;
  /** Of the timed steps; empty on a backend that does not count. */
  costs: OperationCost[];
}

/**
 * Times training steps (forward, backward, clipping, AdamW) on random tokens, after one that is not counted. The model
 * is changed by them.
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

/**
 * Operations that the model itself asks for, forward and backward, for each token: 6 for each parameter that multiplies
 * activations (the head once, the input embedding not), and 12 · layers · hidden · length for attention.
 */
export function flopsPerToken(config: ModelConfig, length: number): number {
  const { vocabSize, hiddenSize, layers, tieWordEmbeddings } = config;
  const norms = (2 * layers + 1) * hiddenSize;
  const embedding = tieWordEmbeddings ? 0 : vocabSize * hiddenSize;
  return 6 * (parameterCount(config) - norms - embedding) + 12 * layers * hiddenSize * length;
}

const optimizerOptions = z
  .object(trainingOptions({ batchSize: 1, lr: 1e-4, warmup: 0, weightDecay: 0.1 }))
  .parse({ schedule: 'constant' });

function randomSequence(length: number, vocabSize: number, random: RandomStream): Sequence {
  const tokens = Int32Array.from({ length }, () => random.integer(vocabSize));
  return { tokens, trained: new Uint8Array(length).fill(1).fill(0, 0, 1) };
}
