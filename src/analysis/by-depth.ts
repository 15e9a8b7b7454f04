import { z } from 'zod';
import type { ModelConfig } from '../model/config.ts';
import { checkpointTensors } from '../model/parameters.ts';
import type { Part } from '../model/part.ts';

/** A number of all tensors of a layer together, of its matrices, and of each tensor by its name. */
const ofLayer = z.object({ all: z.number(), matrices: z.number() }).catchall(z.number());

/** A number of a model's tensors together, and by where they are. */
export const byDepth = z.object({
  /** Of all parameters. */
  all: z.number(),
  layers: z.array(ofLayer),
  /** A tied embedding is also the head. */
  embedding: z.number(),
  finalNorm: z.number(),
  /** Absent where the head is the embedding. */
  head: z.number().optional(),
});

export type ByDepth = z.infer<typeof byDepth>;

/** `measure` of all tensors, of each layer's, and of those outside of the layers. */
export function measureByDepth(config: ModelConfig, measure: (parts: readonly Part[]) => number): ByDepth {
  const parts = checkpointTensors(config);
  const below = (prefix: string) => measure(parts.filter(({ name }) => name.startsWith(prefix)));
  const layers = Array.from({ length: config.layers }, (_, layer) => {
    const prefix = `model.layers.${layer}.`;
    const own = parts.filter(({ name }) => name.startsWith(prefix));
    return {
      all: measure(own),
      matrices: measure(own.filter(({ shape }) => shape.length === 2)),
      ...Object.fromEntries(own.map((part) => [shortName(part.name.slice(prefix.length)), measure([part])])),
    };
  });
  return {
    all: measure(parts),
    layers,
    embedding: below('model.embed_tokens.'),
    finalNorm: below('model.norm.'),
    ...(config.tieWordEmbeddings ? {} : { head: below('lm_head.') }),
  };
}

/** `q_proj` of `self_attn.q_proj.weight`; what is no weight keeps its kind, as in `q_proj.bias`. */
function shortName(name: string): string {
  return name.replace(/^(self_attn|mlp)\./, '').replace(/\.weight$/, '');
}
