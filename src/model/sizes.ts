import { z } from 'zod';
import type { ModelConfig } from './config.ts';
import { SettingProblem } from './setting-problem.ts';

/** Bounds on what a slip of the keyboard can ask for; no published decoder comes near them. */
export const mostLayers = 10_000;
const mostWidth = 1_000_000;

const width = () => z.int().positive().max(mostWidth).optional();

/** The sizes of a model that a person can give, as keys of a stage. */
export const sizeKeys = {
  layers: z.int().positive().max(mostLayers).optional().describe('decoder layers; as in the preset if left out'),
  hiddenSize: width().describe('width of the residual stream; as in the preset if left out'),
  heads: width().describe('attention heads, into which `hiddenSize` is divided; as in the preset if left out'),
  kvHeads: width().describe('key-value heads, each shared by as many heads; one for each head if left out'),
  intermediateSize: width().describe(
    'width of the MLP; if left out as in the preset, and for another `hiddenSize` 8/3 of it, rounded up to a multiple of 16',
  ),
};

export type OwnSizes = { readonly [key in keyof typeof sizeKeys]?: number | undefined };

/**
 * A model with sizes of one's own in place of those of `base`.
 * @throws SettingProblem where heads do not divide what they have to
 */
export function withSizes(base: ModelConfig, sizes: OwnSizes): ModelConfig {
  const { layers = base.layers, hiddenSize = base.hiddenSize, heads = base.heads } = sizes;
  const { kvHeads = heads, intermediateSize = intermediateOf(hiddenSize, base) } = sizes;
  if (hiddenSize % (2 * heads) !== 0) {
    throw new SettingProblem(
      sizes.heads === undefined ? 'hiddenSize' : 'heads',
      `${heads} heads do not divide the hiddenSize ${hiddenSize} into even widths, which rotary embedding needs`,
      fittingHeads(hiddenSize, heads),
    );
  }
  if (heads % kvHeads !== 0) {
    const fitting = divisors(heads).join(', ');
    throw new SettingProblem('kvHeads', `${kvHeads} does not divide the ${heads} heads`, `one of ${fitting} does`);
  }
  return { ...base, layers, hiddenSize, heads, kvHeads, headDim: hiddenSize / heads, intermediateSize };
}

/** ⅔ of 4 · hiddenSize, as in Llama (Touvron et al. 2023, section 2.2), rounded up so that products divide evenly. */
function intermediateOf(hiddenSize: number, base: ModelConfig): number {
  return hiddenSize === base.hiddenSize ? base.intermediateSize : 16 * Math.ceil((8 * hiddenSize) / 3 / 16);
}

function fittingHeads(hiddenSize: number, heads: number): string {
  if (hiddenSize % 2 !== 0) return `take an even hiddenSize, such as ${hiddenSize + 1}`;
  const near = divisors(hiddenSize / 2).sort((a, b) => Math.abs(a - heads) - Math.abs(b - heads));
  const shown = near.slice(0, 4).sort((a, b) => a - b);
  return `heads that fit are ${shown.join(', ')}`;
}

function divisors(number: number): number[] {
  return Array.from({ length: number }, (_, i) => i + 1).filter((candidate) => number % candidate === 0);
}
