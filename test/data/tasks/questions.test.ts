import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { datasetFingerprint, openDataset } from '../../../src/data/dataset.ts';
import type { QuestionOf, RowOf } from '../../../src/data/rows.ts';
import { taskNames } from '../../../src/data/tasks/task-file.ts';

const fixture = async (name: string) => JSON.parse(await readFile(new URL(name, import.meta.url), 'utf8'));
const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-questions-'));
  await mkdir(join(folder, 'tasks'));
});
afterAll(() => rm(folder, { recursive: true }));

const questions = async (task: string): Promise<RowOf['question'][]> => [
  ...(await openDataset(task, 'question', { split: 'test', baseDirectory: folder })).rows,
];

/** The arguments of lm-eval's requests. */
function requestsOf(question: RowOf['question']): string[][] {
  if ('texts' in question) return question.texts.map(({ context, continuation }) => [context, continuation]);
  if ('context' in question) return [[question.context, question.continuation]];
  if ('words' in question) return [[question.text]];
  throw new Error('nothing is scored');
}

describe('a task of the package asks as that of lm-eval does', async () => {
  const rows = await fixture('rows.json');
  const asked: Record<string, string[][][]> = await fixture('questions.json');

  const preamble = 'The following are multiple choice questions (with answers) about anatomy.\\n\\n';
  const more: Record<string, string> = {
    mmlu: `preamble: "${preamble}"\n`,
    'mmlu, first': `preamble: "${preamble}"\nfewShot: { count: 2, sampler: first }\n`,
  };

  test.each(Object.entries(asked))('%s', async (name, requests) => {
    const [task, shots] = name.split(', ');
    const shipped = await readFile(new URL(`../../../tasks/${task}.yaml`, import.meta.url), 'utf8');
    const added = more[name] ?? (shots === undefined ? '' : 'fewShot: { count: 2 }\n');
    await writeFile(join(folder, 'asked.yaml'), `${shipped}${added}`);
    await writeFile(join(folder, 'rows.jsonl'), lines(rows[task!]));
    expect((await questions('asked.yaml:rows.jsonl')).map(requestsOf)).toEqual(requests);
  });

  test('each task of the package is here, but those that generate', async () => {
    const generating = ['gsm8k'];
    const same = ['arc-challenge'];
    const here = [...new Set(Object.keys(asked).map((name) => name.split(',')[0]!))];
    expect([...here, ...generating, ...same].sort()).toEqual(await taskNames(folder));
  });
});

test('rows of Commonsense170K have their choices taken apart', async () => {
  const instruction =
    'Please choose the correct answer to the question: What melts ice?\n\nAnswer1: heat Answer2: cold\n\nAnswer format: answer1/answer2';
  await writeFile(
    join(folder, 'cs.json'),
    JSON.stringify([{ instruction, input: '', output: 'x', answer: 'answer2' }]),
  );
  const [question] = (await questions('arc-easy:cs.json')) as QuestionOf['choice'][];
  expect(question!.texts.map(({ context, continuation }) => context + continuation)).toEqual([
    'Question: What melts ice?\nAnswer: heat',
    'Question: What melts ice?\nAnswer: cold',
  ]);
  expect(question!.answer).toBe(1);
});

describe('a task file of one’s own', () => {
  const own = async (yaml: string, rows: readonly unknown[] = [{ q: 'Why?', options: ['a', 'b'], right: 'b' }]) => {
    await writeFile(join(folder, 'mine.yaml'), yaml);
    await writeFile(join(folder, 'own.jsonl'), lines(rows));
    return questions('mine.yaml:own.jsonl');
  };
  const file = 'kind: choice\nprompt: "Q: {{ q }} A:"\nchoices: "{{ options }}"\nanswer: "{{ right }}"\n';

  test('names its answer by index, by digits or by text', async () => {
    const rows = [1, '1', 'b', true].map((right) => ({ q: 'Why?', options: ['a', 'b'], right }));
    expect(((await own(file, rows)) as QuestionOf['choice'][]).map(({ answer }) => answer)).toEqual([1, 1, 1, 1]);
  });

  test('lies in ./tasks or anywhere, and may name its data', async () => {
    await writeFile(join(folder, 'tasks', 'here.yaml'), `${file}data: own.jsonl\n`);
    await own(file);
    expect(await questions('here')).toEqual(await questions('./tasks/here.yaml'));
    await expect(questions('mine.yaml')).rejects.toThrow('mine.yaml names no data');
  });

  test.each<[string, string, readonly unknown[], RegExp]>([
    [
      'a wrong index',
      file,
      [{ q: 'x', options: ['a', 'b'], right: 2 }],
      /own.jsonl, row 1: .*gives 2, which is neither an index below 2 nor a choice/,
    ],
    ['an unknown text', file, [{ q: 'x', options: ['a', 'b'], right: 'c' }], /row 1: `answer` gives "c"/],
    ['an index below 0', file, [{ q: 'x', options: ['a', 'b'], right: -1 }], /row 1: `answer` gives -1/],
    ['no choices', file, [{ q: 'x', options: [], right: 0 }], /row 1: `choices` gives 0 of them; at least two/],
    ['an empty choice', file, [{ q: 'x', options: ['a', ' '], right: 0 }], /row 1: choice 2 is empty/],
    ['no list', file, [{ q: 'x', options: 'ab', right: 0 }], /row 1: `choices` gives "ab", which is no list/],
    [
      'a missing column',
      file,
      [
        { q: 'x', options: ['a', 'b'], right: 0 },
        { options: ['a', 'b'], right: 0 },
      ],
      /row 2: `prompt` of mine.yaml: "q" is not defined\s+→ hint: the row has `options`, `right`/,
    ],
    ['no rows', file, [], /own.jsonl/],
    ['an unknown key', `${file}promt: x\n`, [], /line 5\s+promt: unknown key\s+→ hint: did you mean `prompt`/],
    ['a key of another kind', `${file}stop: [x]\n`, [], /stop: unknown key/],
    [
      'an unknown kind',
      file.replace('choice', 'chioce'),
      [],
      /kind: found "chioce"\s+→ hint: kinds are choice, partial/,
    ],
    ['a missing key', file.replace(/answer:.*\n/, ''), [], /answer: is missing/],
    ['a broken template', file.replace('{{ q }}', '{{ q'), [], /line 2\s+prompt: /],
    ['a broken pattern', `${file}rewrite: [{ pattern: "(" }]\n`, [], /rewrite.0.pattern: /],
    [
      'too few examples',
      `${file}fewShot: { count: 1 }\n`,
      [{ q: 'x', options: ['a', 'b'], right: 0 }],
      /line 5\s+fewShot.count: 1 examples are asked for, but there are 1 rows/,
    ],
  ])('refuses %s', async (_, yaml, rows, message) => {
    await expect(own(yaml, rows)).rejects.toThrow(message);
  });

  test('counts into the fingerprint, with its rows', async () => {
    await own(file);
    const fingerprint = () => datasetFingerprint('mine.yaml:own.jsonl', 'question', { baseDirectory: folder });
    const before = await fingerprint();
    await own(`${file}# changed\n`);
    const after = await fingerprint();
    await own(file, [{ q: 'How?', options: ['a', 'b'], right: 'b' }]);
    expect(new Set([before, after, await fingerprint()]).size).toBe(3);
    await own(file);
    expect(await fingerprint()).toBe(before);
  });
});

test('what is no task is told, with those there are', async () => {
  await expect(questions('arc-eazy:own.jsonl')).rejects.toThrow(
    /`arc-eazy` is no task\s+→ hint: did you mean `arc-easy`/,
  );
  await expect(questions('arc-easy')).rejects.toThrow(
    /tasks\/arc-easy.yaml names no data\s+→ hint: write arc-easy:DATASET/,
  );
  await expect(questions('arc-easy:town/questions')).rejects.toThrow('is built in');
});
