import { describe, expect, test } from 'vitest';
import type { PromptRow } from '../../src/data/rows.ts';
import type { Completion } from '../../src/evaluation/completion.ts';
import { schemaCheck } from '../../src/evaluation/json-schema.ts';
import { rewardsOneByOne } from '../../src/evaluation/reward-function.ts';
import {
  answerProblems,
  functionReward,
  rewardsOf,
  schemaReward,
  type Verification,
  verifiedReward,
} from '../../src/evaluation/reward-sources.ts';

const asked = (answer?: string): PromptRow => ({
  prompt: [{ role: 'user', content: 'How many?' }],
  ...(answer === undefined ? {} : { answer }),
});

const completion = (text: string, answer?: string): Completion => ({
  row: 3,
  prompt: asked(answer),
  text,
  tokens: Int32Array.of(1),
});

describe('verified answers', () => {
  test.each<[Verification, string, string, number]>([
    ['exact', ' Twelve. ', 'twelve', 1],
    ['exact', 'Twelve or so', 'twelve', 0],
    ['number', 'First 3, then 1,200 coins.', 'That is 1200', 1],
    ['number', 'It is -4.50', '#### -4.5', 1],
    ['number', 'It is 4', '-4', 0],
    ['number', 'None at all', '0', 0],
    ['regex', 'The sum is 12', '\\b1[0-9]$', 1],
    ['regex', 'The sum is 2', '\\b1[0-9]$', 0],
  ])('%s: %j for the answer %j gives %d', async (kind, text, answer, reward) => {
    expect(await verifiedReward(kind, 1).rewardsOf([completion(text, answer)])).toEqual([reward]);
  });

  test('that cannot be verified are told by row, and how many there are', () => {
    const rows = [asked('1'), asked(), asked('('), asked('2'), ...Array.from({ length: 9 }, () => asked())];
    const problems = answerProblems(rows, 'exact').map(({ message }) => message);
    expect(problems).toHaveLength(5);
    expect(problems[0]).toBe('row 2: has no answer to verify');
    expect(problems[4]).toMatch(/and 5 more rows/);
    const messageOf = (kind: Verification) => answerProblems(rows.slice(2, 4), kind)[0]!.message;
    expect(messageOf('regex')).toMatch(/row 1: Invalid regular expression/);
    expect(messageOf('number')).toMatch(/row 1: no number in the answer/);
    expect(messageOf('schema')).toMatch(/row 1: .*JSON/);
    expect(answerProblems([asked('1'), asked('2')], 'number')).toEqual([]);
  });
});

describe('a JSON schema', () => {
  const order = {
    type: 'object',
    properties: { item: { enum: ['tea', 'bread'] }, count: { type: 'integer', minimum: 1 } },
    required: ['item', 'count'],
    additionalProperties: false,
  };
  const text = JSON.stringify(order);

  test.each([
    ['{"item": "tea", "count": 2}', 1],
    [' \n{"count": 1, "item": "bread"} ', 1],
    ['{"item": "tea"}', 0],
    ['{"item": "coffee", "count": 2}', 0],
    ['{"item": "tea", "count": 0.5}', 0],
    ['{"item": "tea", "count": 2, "now": true}', 0],
    ['Here it is: {"item": "tea", "count": 2}', 0],
    ['', 0],
  ])('%j gives %d, from the row and from a file', async (completed, reward) => {
    expect(await verifiedReward('schema', 1).rewardsOf([completion(completed, text)])).toEqual([reward]);
    expect(await schemaReward(schemaCheck(text), 1).rewardsOf([completion(completed)])).toEqual([reward]);
  });

  test('has references, conditions and both drafts', () => {
    const list = schemaCheck(
      '{"$defs": {"n": {"required": ["v"], "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}',
    );
    expect([list('{"v": 1, "next": {"v": 2}}'), list('{"v": 1, "next": {}}')]).toEqual([true, false]);
    const old = schemaCheck(
      '{"$schema": "http://json-schema.org/draft-07/schema#", "if": {"required": ["a"]}, "then": {"required": ["b"]}}',
    );
    expect([old('{"a": 1, "b": 2}'), old('{"a": 1}'), old('{}')]).toEqual([true, false, true]);
  });

  test.each([
    ['{"type": "strnig"}', /type/],
    ['{"propertees": {}}', /unknown keyword: "propertees"/],
    ['[1]', /a JSON schema is an object/],
    ['{', /JSON/],
  ])('that is none is refused: %s', (wrong, message) => {
    expect(() => schemaCheck(wrong)).toThrow(message);
  });
});

test('several sources are summed by weight, and told apart', async () => {
  const length = functionReward(
    rewardsOneByOne(async (_, text) => text.length),
    0.5,
  );
  const { total, bySource } = await rewardsOf([verifiedReward('exact', 2), length], [completion('yes', 'yes')]);
  expect(total).toEqual([2 * 1 + 0.5 * 3]);
  expect(Object.fromEntries(bySource)).toEqual({ verifiedReward: [1], functionReward: [3] });
});

describe('checks that do not end', () => {
  const text = `${'a'.repeat(60)}!`;

  test.each<[Verification, string]>([
    ['regex', '^(a+)+$'],
    ['regex', '(.*)*x'],
    ['schema', '{"pattern": "^(a|a)*$"}'],
    ['schema', '{"patternProperties": {"^(a+)+$": true}}'],
  ])('%s %s are ended, and told with their row', async (kind, answer) => {
    const written = kind === 'regex' ? text : JSON.stringify(answer.includes('Properties') ? { [text]: 1 } : text);
    const wanted = new RegExp(
      `verify: ${kind}, row 4: the check of a completion of \\d+ characters took longer than 1 s`,
    );
    await expect(verifiedReward(kind, 1).rewardsOf([completion(written, answer)])).rejects.toThrow(wanted);
  });

  test('a pattern that no engine takes is told when it is met', () => {
    const pattern = 'a'.repeat(100_000);
    const tooLarge = 'a pattern of the schema is too large';
    expect(() => schemaCheck(JSON.stringify({ type: 'string', pattern }))).toThrow(tooLarge);
    const check = schemaCheck(JSON.stringify({ type: 'object', properties: { a: { type: 'string', pattern } } }));
    expect(() => check('{"a":"aaa"}')).toThrow(tooLarge);
  });

  test('a schema that refers to itself without end is no schema', () => {
    expect(() => schemaCheck('{"$ref": "#"}')).toThrow('refers to itself endlessly');
    const twice = { $defs: { a: { $defs: { a: {} }, $ref: '#/$defs/a' } }, $ref: '#/$defs/a' };
    expect(() => schemaCheck(JSON.stringify(twice))).toThrow('refers to itself endlessly');
    expect(schemaCheck('{"properties": {"next": {"$ref": "#"}}, "type": "object"}')('{"next": {}}')).toBe(true);
  });
});
