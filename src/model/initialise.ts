import { RandomStream } from '../random.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import type { ModelConfig } from './config.ts';
import type { Model } from './model.ts';
import { wiringOf } from './norm.ts';
import { checkpointTensors, inLayer } from './parameters.ts';
import { readModel } from './weights.ts';

export interface Initialisation {
  /** Standard deviation of linear layers. */
  std: number;
  /** Standard deviation of the embedding. */
  embeddingStd: number;
  /**
   * Divide the standard deviations of the output projections of L layers by √(2L), so that the residual stream does not
   * begin wider for more layers (GPT-2, Radford et al. 2019, section 2.3)? As in `scale_pre` and `scale_post_pre` of
   * the Mix-LN authors' code, only in layers that add outputs without a norm.
   */
  scaled?: boolean | undefined;
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
  const narrowed = new Set(initialisation.scaled ? addingProjections(config) : []);
  let random: RandomStream;
  return readModel(config, backend, async (name, into, from) => {
    const { init, gain = 1 } = parts.get(name)!;
    if (init === 'ones' || init === 'zeros') return into.fill(init === 'ones' ? 1 : 0);
    if (from === 0) random = new RandomStream(seed, `init/${name}`);
    const depth = narrowed.has(name) ? Math.sqrt(2 * config.layers) : 1;
    const std = (gain * (init === 'embedding' ? initialisation.embeddingStd : initialisation.std)) / depth;
    for (let i = 0; i < into.length; i++) into[i] = std * random.normal();
    return into;
  });
}

/** The projections whose outputs are added to the residual stream as they are, which scaled initialisation is for. */
export function addingProjections(config: ModelConfig): string[] {
  const layers = Array.from({ length: config.layers }, (_, layer) => layer);
  return layers
    .filter((layer) => wiringOf(config, layer).addsOutputs)
    .flatMap((layer) => ['self_attn.o_proj.weight', 'mlp.down_proj.weight'].map((name) => inLayer(layer, name)));
}
