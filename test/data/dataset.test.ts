import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { datasetFingerprint, openDataset } from '../../src/data/dataset.ts';
import type { Use } from '../../src/data/rows.ts';
import { splitRows } from '../../src/data/split.ts';
import type { RequestError } from '../../src/errors.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-data-'));
});

afterEach(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | object | object[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

function problemsOf(promise: Promise<unknown>): Promise<RequestError> {
  return promise.then(
    () => expect.fail('no error'),
    (error: RequestError) => error,
  );
}

describe('sources', () => {
  it('reads a file relative to the base folder, and a folder in name order', async () => {
    await write('b.txt', 'second');
    await write('a.jsonl', lines([{ text: 'record' }]));
    await write('c.txt', 'third');
    await write('notes.pdf', 'not read');
    expect((await openDataset('b.txt', 'text', { baseDirectory: folder })).rows).toEqual([{ text: 'second' }]);
    const { rows } = await openDataset('.', 'text', { baseDirectory: folder });
    expect(rows.map(({ text }) => text).sort()).toEqual(['record', 'second', 'third']);
  });

  it('lists what there is where a name is unknown', async () => {
    const error = await problemsOf(openDataset('town/txt', 'text'));
    expect(error.message).toContain('did you mean `town/text`?');
    await expect(openDataset('no-such.json', 'text', { baseDirectory: folder })).rejects.toThrow(
      /neither a file nor a folder nor a dataset.*town\/instructions/,
    );
  });

  it('refuses unknown kinds of files, folders without data and empty files', async () => {
    await expect(openDataset(await write('a.pdf', 'x'), 'text')).rejects.toThrow(/must end in \.txt.*\.json/);
    await mkdir(join(folder, 'empty'));
    await expect(openDataset(join(folder, 'empty'), 'text')).rejects.toThrow('contains no data files');
    await expect(openDataset(await write('e.txt', ' \n'), 'text')).rejects.toThrow('the file is empty');
    await expect(openDataset(await write('e.jsonl', '\n\n'), 'text')).rejects.toThrow('e.jsonl: the file is empty');
    await expect(openDataset(await write('e.json', []), 'messages')).rejects.toThrow('e.json: the file is empty');
  });

  it('refuses text that is not UTF-8', async () => {
    const path = join(folder, 'latin1.txt');
    await writeFile(path, Buffer.from([0x63, 0x61, 0x66, 0xe9]));
    await expect(openDataset(path, 'text')).rejects.toThrow('not UTF-8');
  });

  it('refuses data of another use, and says what is needed', async () => {
    const path = await write('t.txt', 'text');
    await expect(openDataset(path, 'messages')).rejects.toThrow(/plain text, but messages rows are needed/);
    const pairs = await write('p.jsonl', lines([{ prompt: 'a', chosen: 'b', rejected: 'c' }]));
    await expect(openDataset(pairs, 'text')).rejects.toThrow(
      /format is preference, because the first row has `chosen`/,
    );
    await expect(openDataset('town/text', 'preference')).rejects.toThrow('preference rows are in town/preferences');
  });
});

describe('broken files', () => {
  it('names the line of broken JSON in JSONL, and all other problems with it', async () => {
    const path = await write('bad.jsonl', '{"text": "a"}\n{"text": 5}\n\n{"text": "b"\n{"texts": "c"}\n');
    const { problems } = await problemsOf(openDataset(path, 'text'));
    expect(problems.map(({ line }) => line).sort()).toEqual([2, 4, 5]);
    expect(problems.find(({ line }) => line === 4)?.message).toContain('broken JSON');
    expect(problems.find(({ line }) => line === 2)?.message).toBe('found 5, expected text');
    expect(problems.find(({ line }) => line === 5)?.where).toBe('bad.jsonl, row 4, `text`');
  });

  it('shows ten problems and counts the others', async () => {
    const path = await write(
      'bad.json',
      Array.from({ length: 25 }, () => ({ instruction: 'x' })),
    );
    const { problems } = await problemsOf(openDataset(path, 'messages'));
    expect(problems).toHaveLength(11);
    expect(problems[10]?.message).toBe('and 15 more problems in 25 rows');
  });

  it('names the line of a row in a JSON list, and finds one that is not closed', async () => {
    const rows = '[\n  {"instruction": "a",\n   "output": "b"},\n  {"instruction": "a, [\\" {",\n   "output": 3}\n';
    const { problems } = await problemsOf(openDataset(await write('cut.json', rows), 'messages'));
    expect(problems.map(({ line, message }) => [line, message])).toEqual([
      [4, 'the JSON list is not closed: what starts in line 4 has no end'],
    ]);
    const closed = await problemsOf(openDataset(await write('closed.json', `${rows}]`), 'messages'));
    expect(closed.problems.map(({ line, where }) => [line, where])).toEqual([[4, 'closed.json, row 2, `output`']]);
  });

  it('goes on behind a broken row of a list', async () => {
    const path = await write('x.json', '[{"text": "a"},\n{"text": oops},\n{"text": ""}]');
    const { problems } = await problemsOf(openDataset(path, 'text'));
    expect(problems.map(({ line }) => line)).toEqual([2, 3]);
  });

  it('reads a .json file with one object a line, and a byte-order mark', async () => {
    const path = await write('lines.json', `\uFEFF${lines([{ text: 'a\u2028b' }, { text: 'c' }])}`);
    expect((await openDataset(path, 'text')).rows).toEqual([{ text: 'a\u2028b' }, { text: 'c' }]);
  });
});

describe('splits', () => {
  it('holds out the last rows', async () => {
    const path = await write('r.jsonl', lines(Array.from({ length: 20 }, (_, i) => ({ text: `row ${i}` }))));
    const train = await openDataset(path, 'text', { holdOut: 0.1 });
    const test = await openDataset(path, 'text', { holdOut: 0.1, split: 'test' });
    expect(train.rows).toHaveLength(18);
    expect(test.rows).toEqual([{ text: 'row 18' }, { text: 'row 19' }]);
  });

  it('holds out the end of each text, cut at a paragraph', async () => {
    const paragraphs = (name: string) => Array.from({ length: 40 }, (_, i) => `${name} paragraph ${i}.`).join('\n\n');
    await write('a.txt', paragraphs('A'));
    await write('b.txt', paragraphs('B'));
    const train = await openDataset(folder, 'text', { holdOut: 0.1 });
    const test = await openDataset(folder, 'text', { holdOut: 0.1, split: 'test' });
    expect(test.rows.map(({ text }) => text.split('\n\n')[0])).toEqual(['A paragraph 36.', 'B paragraph 36.']);
    expect(train.rows.map(({ text }, i) => text + test.rows[i]!.text)).toEqual([paragraphs('A'), paragraphs('B')]);
  });

  it('cuts at a line, a word or a character where there is nothing better', async () => {
    const held = async (text: string) => {
      const path = await write('one.txt', text);
      return (await openDataset(path, 'text', { holdOut: 0.2, split: 'test' })).rows[0]!.text;
    };
    expect(await held('first paragraph\n\nline one\nline two\nline three\nline four\nline five')).toMatch(/^line/);
    expect(await held('one two three four five six seven')).toBe('six seven');
    expect(await held('🌍'.repeat(10))).toMatch(/^(🌍)+$/u);
  });

  it('refuses a test split where nothing is held out, unless none is asked for', async () => {
    const path = await write('r.jsonl', lines([{ text: 'a' }]));
    await expect(openDataset(path, 'text', { split: 'test' })).rejects.toThrow(/test split of this dataset is empty/);
    expect((await openDataset(path, 'text', { split: 'test', allowEmpty: true })).rows).toEqual([]);
  });
});

describe('fingerprints', () => {
  it('follow the content and how it is read, not the name', async () => {
    const rows = lines([{ prompt: 'a', answer: 'b' }]);
    const path = await write('one.jsonl', rows);
    const same = await write('two.jsonl', rows);
    const other = await write('three.jsonl', rows.replace('"b"', '"c"'));
    const fingerprint = await datasetFingerprint(path, 'prompt');
    expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect((await openDataset(path, 'prompt')).fingerprint).toBe(fingerprint);
    expect(await datasetFingerprint(same, 'prompt')).toBe(fingerprint);
    expect(await datasetFingerprint(other, 'prompt')).not.toBe(fingerprint);
    expect(await datasetFingerprint(path, 'prompt', { holdOut: 0.5 })).not.toBe(fingerprint);
    expect(await datasetFingerprint('town/prompts', 'prompt')).not.toBe(
      await datasetFingerprint('town/prompts', 'prompt', { split: 'test' }),
    );
  });

  it('follow use, split, format and every key of a descriptor', async () => {
    await mkdir(join(folder, 'datasets'), { recursive: true });
    await write('qa.jsonl', lines([{ a: 'x', b: 'y' }]));
    const described = async (yaml: string, use: Use = 'messages', split: 'train' | 'test' = 'train') => {
      await write('datasets/mine.yaml', `path: qa.jsonl\n${yaml}`);
      return datasetFingerprint('mine', use, { baseDirectory: folder, split });
    };
    const columns = 'format: alpaca\ncolumns: { instruction: a, output: b }\n';
    const fingerprints = [
      await described(columns),
      await described(columns, 'prompt'),
      await described(columns, 'messages', 'test'),
      await described('format: alpaca\n'),
      await described(`${columns}holdOut: 0.5\n`),
      await described('format: alpaca\ncolumns: { instruction: b, output: a }\n'),
      await described(`${columns}ignore: [c]\n`),
      await described(''),
    ];
    expect(new Set(fingerprints).size).toBe(fingerprints.length);
    expect(await described(columns)).toBe(fingerprints[0]);
  });
});

describe('descriptors', () => {
  async function describeAs(yaml: string): Promise<void> {
    await mkdir(join(folder, 'datasets'), { recursive: true });
    await write('datasets/mine.yaml', yaml);
  }
  const open = (split?: 'train' | 'test') =>
    openDataset('mine', 'messages', { baseDirectory: folder, ...(split ? { split } : {}) });

  it('maps columns and holds out what they say', async () => {
    await write('qa.jsonl', lines(['a', 'b', 'c', 'd'].map((text) => ({ frage: text, antwort: text }))));
    await describeAs(
      'path: qa.jsonl\nformat: alpaca\ncolumns: { instruction: frage, output: antwort }\nholdOut: 0.25\n',
    );
    expect((await open()).rows).toHaveLength(3);
    expect((await open('test')).rows[0]!.messages.map(({ content }) => content)).toEqual(['d', 'd']);
  });

  it('takes a file of its own for the test split', async () => {
    await write('train.json', [{ instruction: 'a', output: 'b' }]);
    await write('test.json', [{ instruction: 'c', output: 'd' }]);
    await describeAs('train: train.json\ntest: test.json\n');
    expect((await open()).rows).toHaveLength(1);
    expect((await open('test')).rows[0]!.messages[0]!.content).toBe('c');
  });

  it('names unknown keys, columns and files, with lines', async () => {
    await describeAs('path: qa.jsonl\nformt: alpaca\n');
    await expect(open()).rejects.toThrow(/line 2.*formt: unknown key[\s\S]*did you mean `format`/);
    await describeAs('path: qa.jsonl\nformat: alpaca\ncolumns:\n  instrction: frage\n');
    await expect(open()).rejects.toThrow(
      /line 3.*`instrction` is not a column of alpaca[\s\S]*did you mean `instruction`/,
    );
    await describeAs('path: nowhere.jsonl\n');
    await expect(open()).rejects.toThrow(/datasets\/mine\.yaml[\s\S]*nowhere\.jsonl: there is no such file/);
    await describeAs('description: nothing\n');
    await expect(open()).rejects.toThrow('expected either `path` or `train`');
  });

  it('is suggested where its name is misspelt', async () => {
    await describeAs('path: qa.jsonl\n');
    await expect(openDataset('mien', 'messages', { baseDirectory: folder })).rejects.toThrow('did you mean `mine`?');
  });
});

it('a share that is smaller than a row holds out one', () => {
  expect(splitRows([1, 2, 3], 'test', 0.01)).toEqual([3]);
  expect(splitRows([1, 2, 3], 'train', 0.01)).toEqual([1, 2]);
  expect(splitRows([1, 2, 3], 'test', 0)).toEqual([]);
});
