import { expect, it } from 'vitest';
import { z } from 'zod';
import { validate } from '../../src/config/validate.ts';
import { parseYamlFile } from '../../src/config/yaml-file.ts';

const schema = z.strictObject({
  lr: z.number().positive().default(1e-3).describe('peak learning rate'),
  steps: z.int().min(1).describe('optimiser steps'),
  norm: z.enum(['pre', 'post', 'mix']).default('pre'),
  postLayers: z.union([z.int().min(0), z.string().regex(/^\d+%$/, 'a share such as 25%')]).default(0),
  of: z.array(z.string()).default([]),
  nested: z.strictObject({ depth: z.number() }).optional(),
});

function problemsIn(text: string) {
  const file = parseYamlFile(text, 'mine.yaml');
  return validate(schema, file.value, { where: (path) => path.join('.'), line: file.lineOf }).problems;
}

it('tells everything that is wrong at once, with line, what was found, what was expected and a hint', () => {
  const problems = problemsIn(
    ['learningrate: 1', 'lr: fast', 'norm: mxi', 'postLayers: many', 'of: 3', 'nested:', '  dept: 2', ''].join('\n'),
  );
  expect(problems).toEqual(
    expect.arrayContaining([
      { where: 'learningrate', line: 1, message: 'unknown key', hint: expect.stringContaining('there is `lr`') },
      { where: 'lr', line: 2, message: 'found "fast", expected a number', hint: 'peak learning rate' },
      { where: 'steps', line: 1, message: 'is missing; expected a number', hint: 'optimiser steps' },
      { where: 'norm', line: 3, message: 'found "mxi", expected one of pre, post, mix', hint: 'did you mean `mix`?' },
      { where: 'postLayers', line: 4, message: 'found "many", expected a share such as 25%' },
      { where: 'of', line: 5, message: 'found 3, expected a list' },
      { where: 'nested.dept', line: 7, message: 'unknown key', hint: 'did you mean `depth`?' },
      { where: 'nested.depth', line: 6, message: 'is missing; expected a number' },
    ]),
  );
  expect(problems).toHaveLength(8);
});

it('names every unknown key', () => {
  expect(problemsIn('steps: 1\na: 1\nb: 2\n').map(({ where }) => where)).toEqual(['a', 'b']);
});

it('tells bounds with what they bound', () => {
  expect(problemsIn('steps: 0\nlr: -1\n').map(({ message }) => message)).toEqual([
    'found -1, expected more than 0',
    'found 0, expected at least 1',
  ]);
});

it('gives defaults to a valid value', () => {
  expect(validate(schema, { steps: 3 }, { where: String })).toEqual({
    value: { lr: 1e-3, steps: 3, norm: 'pre', postLayers: 0, of: [] },
    problems: [],
  });
});

it('refuses broken YAML and repeated keys with their lines', () => {
  expect(() => parseYamlFile('a: 1\nb: 2\na: 3\n', 'mine.yaml')).toThrow(/line 3: key `a` appears twice/);
  expect(() => parseYamlFile('a: [1\nb: 2\n', 'mine.yaml')).toThrow(/mine\.yaml/);
});
