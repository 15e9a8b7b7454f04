import type { ModelConfig } from './config.ts';
import type { Attention, Family } from './families/family.ts';
import { families } from './families/index.ts';

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

/** Self-attention of layer `layer` (from 0). */
export function attentionOf(config: ModelConfig, layer: number): Attention {
  return familyNamed(config.family.name).attention(layer, config);
}
