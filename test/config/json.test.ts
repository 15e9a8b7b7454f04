import { expect, it } from 'vitest';
import { parseJson } from '../../src/config/json.ts';

const nested = (depth: number) => `${'['.repeat(depth)}"]]["${']'.repeat(depth)}`;

it('reads what is nested as anybody would, brackets in strings aside', () => {
  for (const text of [nested(256), JSON.stringify('['.repeat(10_000)), '{"\\"[": "\\\\", "b": [1e3, null]}']) {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  }
  expect(() => parseJson('{"a": 1')).toThrow(SyntaxError);
});

it.each([nested(257), nested(1_000_000), '['.repeat(1_000_000), '{"a":'.repeat(1_000_000)])(
  'refuses what is nested so deeply that walking through it takes all stack (%#)',
  (text) => {
    expect(() => parseJson(text)).toThrow('lists and objects are nested more than 256 levels deep');
  },
);
