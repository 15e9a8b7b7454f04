import { describe, expect, it } from 'vitest';
import { parseAssignments } from '../../src/config/assignments.ts';
import { parseYamlFile, yamlValue } from '../../src/config/yaml-file.ts';

const problemsOf = (text: string) => {
  try {
    parseYamlFile(text, 'mine.yaml');
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('was read');
};

describe('what YAML allows and a config does not', () => {
  it.each([
    ['nested lists', `a: ${'['.repeat(100_000)}`],
    ['nested lists that are closed', `a: ${'['.repeat(100)}${']'.repeat(100)}`],
    ['nested maps', '{a: '.repeat(100_000)],
    ['lists on one line', `${'- '.repeat(100_000)}x`],
    ['keys on one line', '? '.repeat(100_000)],
    ['keys on one line that ends in another', `${'? '.repeat(20_000)}: x`],
  ])('names %s that are too deep', (_, text) => {
    expect(problemsOf(text)).toContain('line 1: lists and maps are nested more than 64 levels deep');
  });

  it('takes all that is not', () => {
    const text = `a: ${'['.repeat(60)}1${']'.repeat(60)}`;
    expect(JSON.stringify(parseYamlFile(text, 'mine.yaml').value)).toHaveLength('{"a":1}'.length + 120);
  });

  it('names aliases that expand to too many values, or to deeply nested ones', () => {
    const bomb = Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${Array(10).fill(i === 0 ? 1 : `*a${i - 1}`)}]`);
    expect(problemsOf(bomb.join('\n'))).toMatch(/line \d+: aliases expand to more than 100000 values/);
    const chain = Array.from({ length: 80 }, (_, i) => `a${i}: &a${i} [${i === 0 ? 1 : `*a${i - 1}`}]`);
    expect(problemsOf(chain.join('\n'))).toMatch(/line 6\d: lists and maps are nested more than/);
  });

  it('names aliases of what they are part of, and of nothing', () => {
    expect(problemsOf('a: 1\nb: &b\n  c: [*b]\n')).toContain('line 3: `*b` is inside the value that it refers to');
    expect(problemsOf('a: *b\nb: &b 1\n')).toContain('line 1: there is no `&b` before `*b`');
  });

  it('gives each alias a value of its own', () => {
    const { value } = parseYamlFile('a: &a { x: 1 }\nb: *a\nc: &a 2\nd: *a\n', 'mine.yaml');
    expect(value).toEqual({ a: { x: 1 }, b: { x: 1 }, c: 2, d: 2 });
    const { a, b } = value as { a: unknown; b: unknown };
    expect(a).not.toBe(b);
  });

  it('names every key that appears twice or cannot be used', () => {
    expect(problemsOf('a: 1\nb: { x: 1, x: 2 }\na: 2\n')).toMatch(
      /2 problems[\s\S]+line 2: key `x`[\s\S]+line 3: key `a`/,
    );
    expect(problemsOf('? [a]\n: 1\n')).toContain('line 1: a key must be text');
    expect(problemsOf('a:\n  __proto__: { polluted: 1 }\n')).toContain('line 2: the name `__proto__` cannot be used');
  });

  it('names texts and keys that no path could be', () => {
    expect(problemsOf('a: 1\nb: ["x\\0y"]\n')).toContain('line 2: a text contains the character U+0000');
    expect(problemsOf('a: 1\n"x\\0y": 1\n')).toContain('line 2: a key contains the character U+0000');
  });

  it('names a second document', () => {
    expect(problemsOf('a: 1\n---\nb: 2\n')).toMatch(/1 problem in mine.yaml[\s\S]+a second document begins/);
  });
});

describe('a file of 100,000 keys', () => {
  const text = Array.from({ length: 100_000 }, (_, i) => `key${i}: ${i}`).join('\n');

  // Each key compared with all others takes minutes.
  it('is read key by key', { timeout: 30_000 }, () => {
    const { value, lineOf } = parseYamlFile(text, 'mine.yaml');
    expect(Object.keys(value as object)).toHaveLength(100_000);
    for (let i = 0; i < 100_000; i++) if (lineOf([`key${i}`]) !== i + 1) throw new Error(`key${i}`);
  });
});

describe('the value of a flag', () => {
  it('is the text itself where it is not YAML', () => {
    expect(yamlValue('C:\\data: {', '--data')).toBe('C:\\data: {');
    expect(yamlValue('[1, 2]', '--data')).toEqual([1, 2]);
  });

  it('is refused where it is YAML that a config does not allow', () => {
    const deep = `${'['.repeat(100)}${']'.repeat(100)}`;
    const { problems, assignments } = parseAssignments([`a.b=${deep}`, 'a.c={ __proto__: 1 }', 'a.__proto__.x=1']);
    expect(assignments).toEqual([]);
    expect(problems.map(({ where, message }) => `${where}: ${message}`)).toEqual([
      '--set a.b: lists and maps are nested more than 64 levels deep',
      '--set a.c: the name `__proto__` cannot be used',
      '--set a.__proto__.x: the name `__proto__` cannot be used',
    ]);
  });
});
