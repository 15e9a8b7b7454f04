import type { Problem } from '../errors.ts';
import type { NormPlacement } from '../model/config.ts';
import { foreignNames } from './foreign-names.ts';
import type { TensorStore } from './safetensors-reader.ts';

/** What a config or a weight file says about its norms. */
export interface PlacementClaim {
  norm: NormPlacement;
  postLayers: number;
}

/** Norm tensors of one layer, by the names in the Mix-LN authors' code, and the placement that has exactly these. */
const layouts = new Map([
  ['input_layernorm post_attention_layernorm', 'pre'],
  ['post_attention_layernorm post_feedforward_layernorm', 'post'],
  ['input_layernorm post_attention_layernorm post_feedforward_layernorm pre_feedforward_layernorm', 'sandwich'],
]);

/** The claim of a config's or a metadata block's `norm` and `post_layers`; undefined where neither is there. */
export function parseClaim(
  norm: unknown,
  postLayers: unknown,
  layers: number,
  problems: Problem[],
): PlacementClaim | undefined {
  if (norm === undefined && postLayers === undefined) return undefined;
  if (norm !== 'pre' && norm !== 'post' && norm !== 'mix') {
    problems.push({ where: 'norm', message: `${JSON.stringify(norm)} is not one of pre, post, mix` });
    return undefined;
  }
  const implied = norm === 'pre' ? 0 : norm === 'post' ? layers : undefined;
  const count = postLayers ?? implied;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > layers) {
    const found = JSON.stringify(postLayers) ?? 'missing';
    problems.push({
      where: 'post_layers',
      message: `${found}; a whole number from 0 to ${layers} (the layers) is needed`,
    });
    return undefined;
  }
  if (implied !== undefined && count !== implied) {
    problems.push({
      where: 'post_layers',
      message: `${count} contradicts norm ${norm}, which means ${implied} of ${layers} layers`,
    });
    return undefined;
  }
  return { norm, postLayers: count };
}

/** The placement that config, metadata and tensor names agree on. */
export function agreedPlacement(
  fromConfig: PlacementClaim | undefined,
  { tensors, metadata }: TensorStore,
  layers: number,
  notes: string[],
  problems: Problem[],
): PlacementClaim | undefined {
  const names = [...tensors.keys()];
  const foreign = foreignNames(names) ?? otherLayers(names, layers);
  if (foreign) {
    problems.push(foreign);
    return undefined;
  }
  const postLayers = metadata.get('post_layers');
  const fromMetadata = parseClaim(
    metadata.get('norm'),
    postLayers === undefined ? undefined : Number(postLayers),
    layers,
    problems,
  );
  const fromNames = inferPlacement(names, layers, problems);
  if (!fromNames) return undefined;
  const words = describePlacement(fromNames.postLayers, layers);
  for (const [source, claim] of [
    ['config.json', fromConfig],
    ['the metadata of the weights', fromMetadata],
  ] as const) {
    if (!claim || claim.postLayers === fromNames.postLayers) continue;
    problems.push({
      where: 'norm placement',
      message: `${source} says ${describePlacement(claim.postLayers, layers)}, but the tensor names are those of ${words}`,
      hint: 'the same name means another norm in Pre-LN and Post-LN; correct `norm` and `post_layers`, or take the right weights',
    });
  }
  if (!fromConfig && !fromMetadata && fromNames.postLayers > 0) {
    const others =
      fromNames.norm === 'post' ? '; DeepNorm and OLMo 2 have the same names and compute something else' : '';
    notes.push(`norm placement: ${words}; inferred from the tensor names, the config does not say${others}`);
  }
  return fromConfig ?? fromMetadata ?? fromNames;
}

/** What is wrong with weights that have other layers than the config says. */
function otherLayers(names: readonly string[], layers: number): Problem | undefined {
  const present = new Set<number>();
  for (const name of names) {
    const index = /^model\.layers\.(\d+)\./.exec(name)?.[1];
    if (index !== undefined) present.add(Number(index));
  }
  const missing = Array.from({ length: layers }, (_, index) => index).filter((index) => !present.has(index));
  const extra = [...present].filter((index) => index >= layers);
  if (missing.length === 0 && extra.length === 0) return undefined;
  const [word, those] = missing.length > 0 ? ['lack', missing] : ['also have', extra];
  const shown = `${those.slice(0, 3).join(', ')}${those.length > 3 ? ', …' : ''}`;
  return {
    where: 'num_hidden_layers',
    message: `${layers}, counted from 0, but the weights ${word} layer${those.length > 1 ? 's' : ''} ${shown}`,
    hint: 'correct config.json, or take the weights that belong to it',
  };
}

/**
 * Reads the placement off the norm tensors of each layer.
 * @returns undefined where the names fit no placement; `problems` then says which layers are at fault
 */
export function inferPlacement(
  names: Iterable<string>,
  layers: number,
  problems: Problem[],
): PlacementClaim | undefined {
  const norms = Array.from({ length: layers }, () => new Set<string>());
  for (const name of names) {
    const match = /^model\.layers\.(\d+)\.([a-z_]*layernorm|raw_scaling_factor_\w+|router)\b/.exec(name);
    if (match) norms[Number(match[1])]?.add(match[2]!);
  }
  const found = norms.map((present) => layouts.get([...present].sort().join(' ')) ?? 'unknown');
  const odd = found.findIndex((layout) => layout !== 'pre' && layout !== 'post');
  if (odd >= 0) {
    const present = [...norms[odd]!].sort().join(', ') || 'none';
    const layout =
      found[odd] === 'sandwich' ? 'Sandwich-LN, which is not supported' : 'of no placement that is supported';
    problems.push({ where: `model.layers.${odd}`, message: `its norms (${present}) are ${layout}` });
    return undefined;
  }
  const firstPre = found.indexOf('pre');
  const postLayers = firstPre < 0 ? layers : firstPre;
  const late = found.indexOf('post', postLayers);
  if (late >= 0) {
    const message = `is Post-LN after the Pre-LN layer ${firstPre}; only placements with the Post-LN layers first are supported`;
    problems.push({ where: `model.layers.${late}`, message });
    return undefined;
  }
  return { norm: postLayers === 0 ? 'pre' : postLayers === layers ? 'post' : 'mix', postLayers };
}

/** The placement in words, such as `Post-LN in the first 3 of 12 layers, Pre-LN in the rest`. */
export function describePlacement(postLayers: number, layers: number): string {
  if (postLayers === 0) return `Pre-LN in all ${layers} layers`;
  if (postLayers === layers) return `Post-LN in all ${layers} layers`;
  return `Post-LN in the first ${postLayers} of ${layers} layers, Pre-LN in the rest`;
}
