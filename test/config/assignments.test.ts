import { expect, it } from 'vitest';
import { parseAssignments, setAt } from '../../src/config/assignments.ts';

it('reads values as YAML does', () => {
  const values = ['a.b=1e-4', 'c=true', 'd=[1, x]', 'e=25%', 'f=', 'g=C:\\data: {', 'h=a=b'];
  expect(parseAssignments(values).assignments.map(({ path, value }) => [path.join('.'), value])).toEqual([
    ['a.b', 1e-4],
    ['c', true],
    ['d', [1, 'x']],
    ['e', '25%'],
    ['f', null],
    ['g', 'C:\\data: {'],
    ['h', 'a=b'],
  ]);
});

it('tells what is no assignment', () => {
  const { problems } = parseAssignments(['lr', '=1', 'a..b=1']);
  expect(problems.map(({ where }) => where)).toEqual(['--set lr', '--set =1', '--set a..b=1']);
});

it('sets a value deep in objects and makes those on the way', () => {
  const root = { stages: { sft: { lr: 1 } } };
  setAt(root, ['stages', 'sft', 'steps'], 5);
  setAt(root, ['variants', 'mix', 'sft'], {});
  expect(root).toEqual({ stages: { sft: { lr: 1, steps: 5 } }, variants: { mix: { sft: {} } } });
});
