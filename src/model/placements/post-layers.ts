import { z } from 'zod';
import type { NormSettings } from '../config.ts';
import { SettingProblem } from '../setting-problem.ts';

const share = z.string().regex(/^\d+(\.\d+)?%$/, 'a number of layers, or a share such as 25%');

/** The key of placements that have Post-LN in some layers and Pre-LN in the rest. */
export const postLayersKey = {
  postLayers: z
    .union([z.int().nonnegative(), share])
    .default('25%')
    .describe('Post-LN layers, the first of `mix` and the last of `mix-reversed`: a number or a share'),
};

/**
 * How many of a model's layers `3` or `'25%'` is; a share is rounded down, as layers // 4 is.
 * @throws SettingProblem where the model has fewer
 */
export function resolvePostLayers({ postLayers }: Readonly<Record<string, unknown>>, layers: number): NormSettings {
  const count = layerCount(postLayers as number | string, layers);
  if (count <= layers) return { postLayers: count };
  const message = `${postLayers} Post-LN layers, but the model has ${layers} layers; give 0 to ${layers} or a share such as 25%`;
  throw new SettingProblem('postLayers', message);
}

function layerCount(countOrShare: number | string, layers: number): number {
  if (typeof countOrShare === 'number') return countOrShare;
  return Math.floor((Number.parseFloat(countOrShare) / 100) * layers + 1e-9);
}

/**
 * How many layers a file says to be Post-LN. `implied` is what the placement's name says by itself.
 * @throws SettingProblem where that cannot be
 */
export function readPostLayers(
  name: string,
  { post_layers: said }: Readonly<Record<string, unknown>>,
  layers: number,
  implied?: number,
): number {
  const count = said ?? implied;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > layers) {
    const found = JSON.stringify(said) ?? 'missing';
    throw new SettingProblem('post_layers', `${found}; a whole number from 0 to ${layers} (the layers) is needed`);
  }
  if (implied !== undefined && count !== implied) {
    const message = `${count} contradicts norm ${name}, which means ${implied} of ${layers} layers`;
    throw new SettingProblem('post_layers', message);
  }
  return count;
}

/** Some layers Post-LN and some Pre-LN; none or all of them would be `pre` or `post`. */
export function* somePostLayers(layers: number): Generator<NormSettings> {
  for (let postLayers = 1; postLayers < layers; postLayers++) yield { postLayers };
}

/** For people, where the settings make all layers the same. */
export function describeUniform({ postLayers }: NormSettings, layers: number): string | undefined {
  if (postLayers === 0) return `Pre-LN in all ${layers} layers`;
  return postLayers === layers ? `Post-LN in all ${layers} layers` : undefined;
}
