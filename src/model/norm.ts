import { z } from 'zod';
import type { ModelConfig, NormChoice } from './config.ts';
import { normKinds } from './norm-kinds/index.ts';
import type { NormKind } from './norm-kinds/norm-kind.ts';
import type { Part } from './part.ts';
import { placements } from './placements/index.ts';
import type { Placement, Wiring } from './placements/placement.ts';

/** @throws Error where there is no such placement */
export function placementNamed(name: string): Placement {
  const placement = placements.find((candidate) => candidate.name === name);
  if (!placement) throw new Error(`there is no norm placement ${name}`);
  return placement;
}

/** How layer `layer` (from 0) joins its sub-layers and norms to the residual stream. */
export function wiringOf(config: ModelConfig, layer: number): Wiring {
  return placementNamed(config.norm.name).wiring(layer, config);
}

/** Does the placement normalise heads inside attention? */
export function normalisesHeads(config: ModelConfig): boolean {
  return Array.from({ length: config.layers }, (_, layer) => wiringOf(config, layer)).some(
    ({ headNorms }) => headNorms !== undefined,
  );
}

/** What the norm between embedding and first layer is called, where the placement has one. */
export function embeddingNormOf(config: ModelConfig): string | undefined {
  return placementNamed(config.norm.name).embeddingNorm;
}

/** @throws Error where there is no such kind of norm */
export function normKindOf({ normKind = normKinds[0].name }: Pick<ModelConfig, 'normKind'>): NormKind {
  const kind = normKinds.find(({ name }) => name === normKind);
  if (!kind) throw new Error(`there is no kind of norm ${normKind}`);
  return kind;
}

/** The tensors of a norm over `width` numbers, by what they are for. */
export function normParts(config: Pick<ModelConfig, 'normKind'>, name: string, width: number): Part[] {
  return Object.values(normKindOf(config).parts(name, width));
}

/** Every tensor that a wiring adds to a layer, by its name below it. */
export function wiringParts({ headNorms = {}, attention, mlp }: Wiring, config: Omit<ModelConfig, 'norm'>): Part[] {
  const { hiddenSize, headDim } = config;
  return [
    ...Object.values(headNorms).flatMap((name) => normParts(config, name, headDim)),
    ...[attention, mlp].flatMap(({ norms, parts = {} }) => [
      ...Object.values(norms).flatMap((name) => normParts(config, name, hiddenSize)),
      ...Object.values(parts),
    ]),
  ];
}

/** What config.json and the metadata of weights say of the placement: `norm`, its name, and its settings. */
export function writtenPlacement({ norm: { name, settings }, layers }: ModelConfig): Record<string, string | number> {
  return { norm: name, ...placementNamed(name).write(settings, layers) };
}

/**
 * The configuration with another placement; `values` are its keys as a person gives them, defaults left out.
 * @throws SettingProblem where they do not fit the layers
 */
export function withPlacement(
  config: ModelConfig,
  name: string,
  values: Readonly<Record<string, unknown>> = {},
): ModelConfig {
  const placement = placementNamed(name);
  const settings = placement.resolve(z.object(placement.keys).parse(values), config.layers);
  return { ...config, norm: { name, settings } };
}

/** In words, such as `Post-LN in the first 3 of 12 layers, Pre-LN in the rest`. */
export function describeNorm({ name, settings }: NormChoice, layers: number): string {
  return placementNamed(name).describe(settings, layers);
}
