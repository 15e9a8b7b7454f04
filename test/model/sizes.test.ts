import { describe, expect, test } from 'vitest';
import { parameterCount } from '../../src/model/parameters.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { withSizes } from '../../src/model/sizes.ts';
import { pretrainSchema } from '../../src/stages/pretrain.ts';

describe('sizes of one’s own', () => {
  const base = presetConfig('9m');

  test('stand in for those of the preset, which keeps the rest', () => {
    expect(withSizes(base, {})).toEqual(base);
    expect(withSizes(base, { layers: 24 })).toEqual({ ...base, layers: 24 });
    const wide = withSizes(base, { hiddenSize: 64, heads: 8, kvHeads: 2, intermediateSize: 100 });
    expect(wide).toEqual({ ...base, hiddenSize: 64, heads: 8, kvHeads: 2, headDim: 8, intermediateSize: 100 });
    expect(withSizes(base, { heads: 8 })).toMatchObject({ heads: 8, kvHeads: 8, headDim: 16, intermediateSize: 352 });
  });

  // Widths of the Mix-LN authors' configurations.
  test.each([
    [128, 352],
    [256, 688],
    [384, 1024],
    [512, 1376],
    [768, 2048],
    [1024, 2736],
  ])('a hidden size of %i has an MLP of %i', (hiddenSize, intermediateSize) => {
    const { intermediateSize: found } = withSizes(presetConfig('7b'), { hiddenSize });
    expect(found).toBe(intermediateSize);
  });

  test('deep presets are as large as their names say, with the vocabulary of the town', () => {
    expect(parameterCount(presetConfig('deep-1m')) / 1e6).toBeCloseTo(1.27, 2);
    expect(parameterCount(presetConfig('deep-5m')) / 1e6).toBeCloseTo(4.95, 2);
  });

  const refusal = (keys: object): { path: unknown; message: string; hint: unknown } => {
    const parsed = pretrainSchema.safeParse({ tokenizer: 't', data: 'd', ...keys });
    const issue = parsed.error!.issues[0]!;
    return {
      path: issue.path[0],
      message: issue.message,
      hint: issue.code === 'custom' ? issue.params?.hint : undefined,
    };
  };

  test('heads have to divide what they divide, and what would fit is said', () => {
    expect(refusal({ heads: 3 })).toEqual({
      path: 'heads',
      message: '3 heads do not divide the hiddenSize 128 into even widths, which rotary embedding needs',
      hint: 'heads that fit are 1, 2, 4, 8',
    });
    // 12 / 4 = 3 is odd.
    expect(refusal({ hiddenSize: 12 })).toMatchObject({ path: 'hiddenSize', hint: 'heads that fit are 1, 2, 3, 6' });
    expect(refusal({ hiddenSize: 99, heads: 9 })).toMatchObject({ hint: 'take an even hiddenSize, such as 100' });
    expect(refusal({ kvHeads: 3 })).toEqual({
      path: 'kvHeads',
      message: '3 does not divide the 4 heads',
      hint: 'one of 1, 2, 4 does',
    });
    expect(refusal({ norm: 'hybrid', preLayers: 5 })).toMatchObject({ path: 'preLayers' });
    expect(refusal({ norm: 'hybrid', qkNorm: true })).toMatchObject({ path: 'qkNorm' });
    expect(refusal({ layers: 6, norm: 'mix', postLayers: 7 })).toMatchObject({ path: 'postLayers' });
    for (const keys of [{ layers: 0 }, { hiddenSize: 2.5 }, { heads: -1 }, { initStd: 0 }, { layers: 20_000 }])
      expect(refusal(keys).path).toBe(Object.keys(keys)[0]);
  });
});
