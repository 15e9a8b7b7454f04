import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/dataset.ts';
import { publicShapes } from '../../src/data/public-shapes.ts';
import type { Use } from '../../src/data/rows.ts';
import type { RequestError } from '../../src/errors.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-shapes-'));
  await mkdir(join(folder, 'datasets'));
});

afterAll(() => rm(folder, { recursive: true }));

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const system = (content: string) => ({ role: 'system', content });

const qa = { messages: [user('q'), assistant('a')] };
const passageQa = { messages: [user('p\n\nq'), assistant('a')] };
const pair = { prompt: [user('q')], chosen: 'a', rejected: 'b' };
const asked = { prompt: [user('q')], answer: 'a' };
const choice = { prompt: [user('q')], choices: ['a', 'b'], answer: 1 };

/** A row of each public form, the use, and what the remedy in the message makes of it; nothing where it is words. */
const rows: readonly [name: string, use: Use, row: object, expected?: object][] = [
  ['SHP', 'preference', { history: 'q', human_ref_A: 'b', human_ref_B: 'a', labels: 0, domain: 'x' }, pair],
  ['SHP', 'preference', { history: 'q', human_ref_A: 'a', human_ref_B: 'b', labels: 1 }, pair],
  [
    'UltraFeedback',
    'preference',
    {
      instruction: 'q',
      completions: [
        { response: 'b', overall_score: 2 },
        { response: 'a', overall_score: 8 },
      ],
    },
    pair,
  ],
  ['UltraFeedback', 'messages', { instruction: 'q', completions: [{ response: 'a', overall_score: 2 }] }, qa],
  [
    'Nectar',
    'preference',
    {
      prompt: '\n\nHuman: q\n\nAssistant: ',
      answers: [
        { answer: 'b', rank: 2 },
        { answer: 'a', rank: 1 },
      ],
    },
    pair,
  ],
  ['HelpSteer', 'messages', { prompt: 'q', response: 'a', helpfulness: 4 }, qa],
  ['HelpSteer', 'preference', { prompt: 'q', response: 'a', helpfulness: 4 }],
  [
    'Orca DPO',
    'preference',
    { system: 's', question: 'q', chosen: 'a', rejected: 'b' },
    { ...pair, prompt: [system('s'), user('q')] },
  ],
  ['instruction pairs', 'preference', { instruction: 'q', chosen: 'a', rejected: 'b' }, pair],
  ['oasst', 'messages', { message_id: 'm', parent_id: null, text: 't', role: 'prompter' }],
  ['ARC', 'choice', { id: 1, question: 'q', choices: { text: ['a', 'b'], label: ['A', 'B'] }, answerKey: 'B' }, choice],
  [
    'OpenBookQA',
    'choice',
    { question_stem: 'q', choices: { text: ['a', 'b'], label: ['1', '2'] }, answerKey: '2' },
    choice,
  ],
  [
    'RACE',
    'choice',
    { article: 'p', question: 'q', options: ['a', 'b'], answer: 'B' },
    { ...choice, prompt: [user('p\n\nq')] },
  ],
  ['MMLU-Pro', 'choice', { question: 'q', options: ['a', 'b'], answer: 'B', answer_index: 1 }, choice],
  [
    'C-Eval',
    'choice',
    { question: 'q', A: 'w', B: 'x', C: 'y', D: 'z', answer: 'C' },
    { prompt: [user('q')], choices: ['w', 'x', 'y', 'z'], answer: 2 },
  ],
  ['HellaSwag', 'choice', { ctx: 'q', endings: ['a', 'b'], label: '1' }, choice],
  ['PIQA', 'choice', { goal: 'q', sol1: 'a', sol2: 'b', label: 1 }, choice],
  ['WinoGrande', 'choice', { sentence: 'q', option1: 'a', option2: 'b', answer: '2' }, choice],
  [
    'BoolQ',
    'choice',
    { question: 'q', passage: 'p', answer: true },
    { prompt: [user('p\n\nq')], choices: ['no', 'yes'], answer: 1 },
  ],
  [
    'BoolQ',
    'messages',
    { question: 'q', passage: 'p', answer: false },
    { messages: [user('p\n\nq'), assistant('no')] },
  ],
  ['TruthfulQA', 'choice', { question: 'q', mc1_targets: { choices: ['a', 'b'], labels: [0, 1] } }, choice],
  [
    'SQuAD',
    'prompt',
    { context: 'p', question: 'q', answers: { text: ['a'], answer_start: [0] } },
    { ...asked, prompt: [user('p\n\nq')] },
  ],
  ['SQuAD', 'messages', { context: 'p', question: 'q', answers: { text: ['a'], answer_start: [0] } }, passageQa],
  ['xLAM', 'messages', { query: 'q', answers: '[{"name": "f"}]', tools: '[{"name": "f"}]' }],
  ['Capybara', 'messages', { source: 's', conversation: [{ input: 'q', output: 'a' }] }, qa],
  ['LMSYS', 'messages', { conversation: qa.messages, language: 'English' }, qa],
  ['LMSYS', 'prompt', { conversation: qa.messages }, asked],
  ['UltraChat', 'messages', { id: '1', data: ['q', 'a'] }, qa],
  ['Dolly', 'messages', { instruction: 'p', context: 'q', response: 'a', category: 'c' }, passageQa],
  ['Dolly', 'prompt', { instruction: 'q', context: '', response: 'a' }, asked],
  ['instruction, response', 'messages', { instruction: 'q', response: 'a' }, qa],
  [
    'OpenOrca',
    'messages',
    { id: 1, system_prompt: 's', question: 'q', response: 'a' },
    { messages: [system('s'), ...qa.messages] },
  ],
  ['question, response', 'messages', { question: 'q', response: 'a' }, qa],
  ['MetaMath', 'messages', { query: 'q', response: 'a', type: 't' }, qa],
  ['MATH', 'messages', { problem: 'q', solution: 'a', level: 'l' }, qa],
  ['MATH', 'prompt', { problem: 'q', solution: '\\boxed{a}' }],
  ['MATH with answers', 'messages', { problem: 'q', solution: 'a', answer: '1' }, qa],
  ['MATH with answers', 'prompt', { problem: 'q', solution: 's', answer: 'a' }, asked],
  ['GSM8K', 'messages', { question: 'q', answer: 'a' }, qa],
  ['GSM8K', 'prompt', { question: 'q', answer: 'a' }, asked],
  ['input, output', 'messages', { input: 'q', output: 'a' }, qa],
  ['prompt, response', 'messages', { prompt: 'q', response: 'a' }, qa],
  ['prompt, completion', 'messages', { prompt: 'q', completion: 'a' }, qa],
  [
    'prompt, completion',
    'messages',
    { prompt: [user('x'), assistant('y'), user('q')], completion: [assistant('a')] },
    { messages: [user('x'), { ...assistant('y'), trained: false }, ...qa.messages] },
  ],
  ['single messages', 'messages', { role: 'user', content: 'q' }],
  ['content', 'text', { content: 't' }, { text: 't' }],
];

const hasJq = spawnSync('jq', ['--version']).status === 0;

async function problemOf(use: Use, file: string) {
  const error = await openDataset(file, use, { baseDirectory: folder }).then(
    () => expect.fail('no error'),
    (error: RequestError) => error,
  );
  expect(error.problems).toHaveLength(1);
  return error.problems[0]!;
}

describe.each(['jsonl', 'json'])('public datasets as .%s', (extension) => {
  it.each(rows)('%s is refused as %s rows with what makes it such rows', async (name, use, row, expected) => {
    const file = `${name.replace(/\W/g, '')}.${extension}`;
    const path = join(folder, file);
    await writeFile(path, extension === 'json' ? JSON.stringify([row], null, 1) : `${JSON.stringify(row)}\n`);
    const { message, hint = '' } = await problemOf(use, file);
    expect(message).toMatch(
      /^the rows have `.*`, the form of .*, which cannot be read as \w+ rows without conversion$/,
    );

    const columns = /path: \S+, (format: \w+), (columns: \{.*\}); then NAME/.exec(hint);
    const jq = /jq -c '(.*)' \S+ > ROWS.jsonl/.exec(hint);
    expect(Boolean(columns || jq)).toBe(expected !== undefined);
    if (columns) {
      await writeFile(join(folder, 'datasets/NAME.yaml'), `path: ${file}\n${columns[1]}\n${columns[2]}\n`);
      expect((await openDataset('NAME', use, { baseDirectory: folder })).rows).toEqual([expected]);
    } else if (jq && hasJq) {
      const { stdout, stderr } = spawnSync('jq', ['-c', jq[1]!, path], { encoding: 'utf8' });
      expect(stderr).toBe('');
      await writeFile(join(folder, 'ROWS.jsonl'), stdout);
      expect((await openDataset('ROWS.jsonl', use, { baseDirectory: folder })).rows).toEqual([expected]);
    }
  });
});

it('knows no form that has no row here', () => {
  const matches = ({ has, lacks = [], is }: (typeof publicShapes)[number], row: object) =>
    has.every((key) => key in row) && !lacks.some((key) => key in row) && (is?.({ ...row }) ?? true);
  const found = publicShapes.map((shape) =>
    rows.find(([, use, row]) => publicShapes.find((one) => one.remedies[use] && matches(one, row)) === shape),
  );
  expect(publicShapes.filter((_, i) => !found[i]).map(({ name }) => name)).toEqual([]);
});
