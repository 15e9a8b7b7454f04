import type { Rotary } from '../tensor/backends/kernels/self-attention.ts';
import type { ModelConfig } from './config.ts';
import type { Attention, Family } from './families/family.ts';
import { families } from './families/index.ts';
import { noRotary } from './rotary.ts';

/** The family whose models have this `model_type` in config.json. */
export function familyOfType(modelType: unknown): Family | undefined {
  return families.find(({ modelTypes }) => modelTypes.some((type) => type === modelType));
}

/** @throws Error where there is no such family */
export function familyNamed(name: string): Family {
  const family = families.find((candidate) => candidate.name === name);
  if (!family) throw new Error(`there is no model family ${name}`);
  return family;
}

/** The rotary embedding of layer `layer` (from 0), with frequencies 0 where it has none. */
export function rotaryOf(config: ModelConfig, layer: number): Rotary {
  return familyNamed(config.family.name).rotary(layer, config) ?? noRotary(config.headDim);
}

/** Self-attention of layer `layer` (from 0). */
export function attentionOf(config: ModelConfig, layer: number): Attention {
  return familyNamed(config.family.name).attention(layer, config);
}
