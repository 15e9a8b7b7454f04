import { RandomStream } from '../random.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { ModelConfig } from './config.ts';
import type { Model } from './model.ts';
import { checkpointTensors } from './parameters.ts';
import { readModel } from './weights.ts';

export interface Initialisation {
  /** Standard deviation of linear layers. */
  std: number;
  /** Standard deviation of the embedding. */
  embeddingStd: number;
}

/**
 * What the Mix-LN authors train from: linear layers N(0, 0.02²), embedding N(0, 2/5) ("Spike No More", Takase et al.
 * 2023). A tied embedding is also the head, where that would give huge logits, so it gets 0.02.
 */
export function defaultInitialisation(config: ModelConfig): Initialisation {
  return { std: 0.02, embeddingStd: config.tieWordEmbeddings ? 0.02 : Math.sqrt(2 / 5) };
}

/** A model with fresh weights, each tensor as its part says. Each has a random stream of its own name. */
export function initialiseModel(
  config: ModelConfig,
  backend: Backend,
  seed: number,
  initialisation: Initialisation = defaultInitialisation(config),
): Promise<Model> {
  const parts = new Map(checkpointTensors(config).map((part) => [part.name, part]));
  let random: RandomStream;
  return readModel(config, backend, async (name, into, from) => {
    const { init, gain = 1 } = parts.get(name)!;
    if (init === 'ones' || init === 'zeros') return into.fill(init === 'ones' ? 1 : 0);
    if (from === 0) random = new RandomStream(seed, `init/${name}`);
    const std = gain * (init === 'embedding' ? initialisation.embeddingStd : initialisation.std);
    for (let i = 0; i < into.length; i++) into[i] = std * random.normal();
    return into;
  });
}
