import { describe, expect, test } from 'vitest';
import { withPlacement } from '../../src/model/norm.ts';
import { parameterCount } from '../../src/model/parameters.ts';
import { presetConfig, presetNames } from '../../src/model/presets.ts';

/** Of the Mix-LN authors' configurations: 2·V·H for embedding and head, L·(4H² + 3·H·I + 2H) for the layers, H. */
const published: Record<string, number> = {
  '9m': 8_995_968,
  '20m': 19_548_416,
  '35m': 35_197_824,
  '40m': 42_392_480,
  '60m': 58_073_600,
  '71m': 70_578_688,
  '100m': 100_117_120,
  '130m': 134_105_856,
  '250m': 247_370_496,
  '350m': 367_969_280,
  '1b': 1_339_082_752,
  '3b': 2_685_831_680,
  '7b': 6_738_415_616,
};

describe('presets', () => {
  test.each(Object.entries(published))(
    '%s has %i parameters under every placement of two norms a layer',
    (name, count) => {
      const config = presetConfig(presetNames.find((preset) => preset === name)!);
      expect(parameterCount(config)).toBe(count);
      for (const norm of ['post', 'mix', 'mix-reversed', 'lns', 'deepnorm']) {
        expect(parameterCount(withPlacement(config, norm))).toBe(count);
      }
    },
  );

  test('the small presets are about as large as their names say', () => {
    expect(parameterCount(presetConfig('1m')) / 1e6).toBeCloseTo(1, 0);
    expect(parameterCount(presetConfig('3m')) / 1e6).toBeCloseTo(3, 0);
  });

  test.each([
    ['25%', 4, 1],
    ['25%', 6, 1],
    ['25%', 12, 3],
    ['16.7%', 24, 4],
    ['50%', 24, 12],
    ['100%', 24, 24],
    [2, 32, 2],
  ])('%s of %i layers are %i', (postLayers, layers, count) => {
    const { norm } = withPlacement({ ...presetConfig('1m'), layers }, 'mix', { postLayers });
    expect(norm.settings).toEqual({ postLayers: count });
  });
});
