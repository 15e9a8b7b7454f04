import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { presetValues, withPresets } from '../../src/config/presets.ts';
import { schemaKeys } from '../../src/config/schema-keys.ts';
import { validate } from '../../src/config/validate.ts';

const presets = { careful: { rate: 0.1, steps: 5 }, bold: { rate: 9 } };
const schema = withPresets(
  { rate: z.number().default(1).describe('how fast'), steps: z.int().default(2).describe('how far') },
  presets,
);

describe('a preset', () => {
  test('stands in for keys that are not given, and written keys win', () => {
    expect(schema.parse({})).toEqual({ rate: 1, steps: 2 });
    expect(schema.parse({ preset: 'careful' })).toEqual({ preset: 'careful', rate: 0.1, steps: 5 });
    expect(schema.parse({ preset: 'careful', steps: 7 })).toEqual({ preset: 'careful', rate: 0.1, steps: 7 });
    expect(schema.parse({ preset: 'bold', rate: undefined })).toMatchObject({ rate: 9, steps: 2 });
  });

  test('tells which values it gave', () => {
    expect(presetValues(presets, { preset: 'careful', steps: 7 })).toEqual({ rate: 0.1 });
    for (const none of [{}, { preset: 'toString' }, undefined]) expect(presetValues(presets, none)).toEqual({});
    expect(presetValues(undefined, { preset: 'careful' })).toEqual({});
  });

  test('is a key like others: with a type, a hint, and unknown keys beside it are found', () => {
    expect(schemaKeys(schema).map(({ name }) => name)).toEqual(['preset', 'rate', 'steps']);
    expect(schemaKeys(schema)[0]).toMatchObject({ required: false, values: ['careful', 'bold'] });
    const place = { where: (path: readonly (string | number)[]) => path.join('.') };
    const { problems } = validate(schema, { preset: 'carefull', rat: 1 }, place);
    expect(problems.map(({ hint }) => hint)).toEqual([
      expect.stringContaining('`careful`'),
      expect.stringContaining('`rate`'),
    ]);
  });
});
