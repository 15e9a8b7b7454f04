import type { ModelConfig } from './config.ts';

interface Preset {
  hiddenSize: number;
  intermediateSize: number;
  heads: number;
  layers: number;
  vocabSize?: number;
}

/**
 * Sizes of the Mix-LN authors' configurations (9m to 7b; 250m as in their code), two small ones, and two that are deep
 * for their size: what the placement of norms does shows in models of many layers.
 */
const presets = {
  '1m': { hiddenSize: 128, intermediateSize: 352, heads: 4, layers: 4, vocabSize: 512 },
  '3m': { hiddenSize: 192, intermediateSize: 512, heads: 6, layers: 6, vocabSize: 512 },
  'deep-1m': { hiddenSize: 64, intermediateSize: 176, heads: 4, layers: 24, vocabSize: 512 },
  'deep-5m': { hiddenSize: 128, intermediateSize: 352, heads: 4, layers: 24, vocabSize: 512 },
  '9m': { hiddenSize: 128, intermediateSize: 352, heads: 4, layers: 4 },
  '20m': { hiddenSize: 256, intermediateSize: 688, heads: 4, layers: 4 },
  '35m': { hiddenSize: 384, intermediateSize: 1024, heads: 8, layers: 6 },
  '40m': { hiddenSize: 416, intermediateSize: 1024, heads: 8, layers: 8 },
  '60m': { hiddenSize: 512, intermediateSize: 1376, heads: 8, layers: 8 },
  '71m': { hiddenSize: 512, intermediateSize: 1368, heads: 8, layers: 12 },
  '100m': { hiddenSize: 640, intermediateSize: 1708, heads: 10, layers: 12, vocabSize: 32100 },
  '130m': { hiddenSize: 768, intermediateSize: 2048, heads: 12, layers: 12 },
  '250m': { hiddenSize: 768, intermediateSize: 2560, heads: 16, layers: 24 },
  '350m': { hiddenSize: 1024, intermediateSize: 2736, heads: 16, layers: 24 },
  '1b': { hiddenSize: 2048, intermediateSize: 5461, heads: 32, layers: 24 },
  '3b': { hiddenSize: 2560, intermediateSize: 6848, heads: 32, layers: 32 },
  '7b': { hiddenSize: 4096, intermediateSize: 11008, heads: 32, layers: 32 },
} satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as [PresetName, ...PresetName[]];

/** The sizes that each preset gives; the vocabulary is that of a tokenizer. */
export const presetSizes = Object.fromEntries(
  Object.entries<Preset>(presets).map(([name, { vocabSize: _, ...sizes }]) => [name, sizes]),
);

/** A preset as a Pre-LN configuration with an untied head and full multi-head attention. */
export function presetConfig(name: PresetName): ModelConfig {
  const { vocabSize = 32000, ...sizes }: Preset = presets[name];
  return {
    ...sizes,
    vocabSize,
    kvHeads: sizes.heads,
    headDim: sizes.hiddenSize / sizes.heads,
    ropeTheta: 10000,
    rmsNormEps: 1e-6,
    maxLength: 2048,
    tieWordEmbeddings: false,
    family: { name: 'llama', settings: {} },
    norm: { name: 'pre', settings: {} },
  };
}
