import { expect, test } from 'vitest';
import { TimeLimitError, withinTime } from '../src/time-limit.ts';

test('gives what the function gives, and throws what it throws', () => {
  expect(withinTime(10_000, () => [1, 2])).toEqual([1, 2]);
  expect(() =>
    withinTime(10_000, () => {
      throw new RangeError('mine');
    }),
  ).toThrow(new RangeError('mine'));
});

test.each(['(a+)+$', '(.*)*x', '^(a|a)*$', '([a-z]+)+\\d', '(\\w+\\s?)*$'])(
  'ends the regular expression %s',
  (source) => {
    const text = `${'a'.repeat(60)}!`;
    const pattern = new RegExp(source, 'gu');
    expect(() => withinTime(50, () => text.match(pattern))).toThrow(TimeLimitError);
    expect(() => withinTime(50, () => text.replaceAll(pattern, ''))).toThrow('took longer than 0.05 s');
    expect(withinTime(10_000, () => 'b'.replaceAll(pattern, ''))).toBeDefined();
  },
);

test('ends a loop within another limit', () => {
  const endless = () => {
    for (;;);
  };
  expect(() => withinTime(10_000, () => withinTime(20, endless))).toThrow(TimeLimitError);
  expect(withinTime(10_000, () => 1)).toBe(1);
});
