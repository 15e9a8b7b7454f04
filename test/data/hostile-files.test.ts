import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { datasetFingerprint, openDataset } from '../../src/data/dataset.ts';
import type { Use } from '../../src/data/rows.ts';
import { type Problem, RequestError } from '../../src/errors.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-hostile-'));
});

afterEach(() => rm(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

async function write(name: string, content: string | Uint8Array): Promise<string> {
  await writeFile(at(name), content);
  return name;
}

const open = (name: string, use: Use = 'messages') => openDataset(name, use, { baseDirectory: folder });

/** The problems, which are ours and tell of the file. */
async function refused(name: string, use: Use = 'messages') {
  const error: unknown = await open(name, use).then(
    () => expect.fail(`${name} was read`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RequestError);
  const { problems } = error as RequestError;
  expect(problems[0]!.where).toContain(name);
  return problems;
}

const row = { instruction: 'Name a tree.', input: '', output: 'The larch.' };
const text = JSON.stringify(row);
const columns = Buffer.from('instruction,input,output\n"Name a tree.",,"The larch."\n');

describe('a file that is no JSON', () => {
  it.each([
    ['rows.parquet', 'PAR1\x15\x04', 'a Parquet file', /pandas.read_parquet.* \S*rows.parquet \S*\/rows.jsonl/],
    ['rows.jsonl', 'PAR1\x15\x04', 'a Parquet file', /rows.jsonl \S*rows.rows.jsonl/],
    ['rows.arrow', 'ARROW1\0\0', 'an Arrow file', /read_feather/],
    ['rows.arrow', '\xff\xff\xff\xff\x10', 'an Arrow stream', /Dataset.from_file/],
    ['rows.jsonl.gz', '\x1f\x8b\x08\x00', 'a gzip archive', /gzip -dc < .*rows.jsonl.gz > .*rows.jsonl$/],
    ['rows.jsonl.zst', '\x28\xb5\x2f\xfd', 'a zstd archive', /zstd -dc/],
    ['rows.zip', 'PK\x03\x04', 'a zip archive', /unzip/],
    ['rows.jsonl.bz2', 'BZh91', 'a bzip2 archive', /bzip2 -dc/],
    ['rows.jsonl.xz', '\xfd7zXZ\x00', 'an xz archive', /xz -dc/],
    ['rows.pkl', '\x80\x04\x95', 'a pickle', undefined],
    ['rows.csv', 'instruction,output\na,b\n', 'CSV', /csv.DictReader/],
    ['rows.jsonl', '"instruction","output"\na,b\n', 'CSV', /csv.DictReader/],
    ['rows.csv', 'text\na\n', 'CSV', /csv.DictReader/],
    ['rows.tsv', 'instruction\toutput\na\tb\n', 'TSV', /delimiter='\\t'/],
    ['rows.json', '\0\0\0\0\0\0\0\0', 'binary data', undefined],
    ['rows.jsonl', 'version https://git-lfs.github.com/spec/v1\n', 'a Git LFS pointer', /git lfs pull/],
    ['rows.json', '<!DOCTYPE html><html>', 'HTML or XML', /download the file itself/],
    ['rows.jsonl', 'once upon a time\n', 'not JSON: it begins with "once upon a time"', /\.txt files plain text/],
    ['rows.jsonl', Buffer.from(`${text}\n`, 'utf16le').toString('latin1'), 'text in UTF-16LE', /iconv/],
  ])('%s is named by its first bytes, in one problem', async (name, bytes, what, hint) => {
    await write(name, Buffer.from(bytes, 'latin1'));
    const problems = await refused(name);
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).toContain(`is ${what}`);
    if (hint) expect(problems[0]!.hint).toMatch(hint);
    else expect(problems[0]!.hint).toBeUndefined();
  });

  const canRun = (program: string) => spawnSync(program, ['--version']).status === 0;

  it.skipIf(!canRun('python3') || !canRun('gzip'))('is converted by the command in the hint', async () => {
    const written = { 'rows of mine.csv': columns, 'csv.jsonl': columns, 'rows.jsonl.gz': gzipSync(`${text}\n`) };
    for (const [name, bytes] of Object.entries(written)) {
      await write(name, bytes);
      const [{ hint = '' }] = (await refused(name)) as [Problem];
      const command = hint.replace('convert it: ', '');
      expect(spawnSync('sh', ['-c', command]).status).toBe(0);
      const made = / '?([^ ]*\/[^/]*\.jsonl)'?$/.exec(command)?.[1] ?? '';
      expect(made).not.toBe(at(name));
      expect(
        (await openDataset(name === 'rows of mine.csv' ? at('rows of mine.jsonl') : made, 'messages')).rows,
      ).toHaveLength(1);
    }
  });
});

describe('JSON of another form', () => {
  const rows = [row, row];
  it.each([
    ['a wrapper', JSON.stringify({ data: rows }), /one object with its rows in `data`[\s\S]*jq -c '\.data\[\]'/],
    ['splits', JSON.stringify({ train: rows, test: rows }, null, 1), /with its rows in `train`, `test`/],
    ['a server’s answer', JSON.stringify({ rows: [{ row_idx: 0, row }] }), /jq -c '\.rows\[\]\.row'/],
    [
      'columns',
      JSON.stringify({ instruction: ['a', 'b'], output: ['c', 'd'] }),
      /list for each column \(`instruction`, `output`\)/,
    ],
    [
      'columns of conversations',
      JSON.stringify({ messages: [[{ role: 'user', content: 'a' }], []] }),
      /list for each column/,
    ],
    [
      'columns by number',
      JSON.stringify({ a: { 0: 'x', 1: 'y' }, b: { 0: 'x', 1: 'y' } }),
      /list for each column \(`a`, `b`\)/,
    ],
    [
      'a split table',
      JSON.stringify({ columns: ['a'], index: [0, 1], data: [['x'], ['y']] }),
      /columns=t\['columns'\]/,
    ],
    ['spread objects', rows.map((one) => JSON.stringify(one, null, 2)).join('\n'), /span several lines[\s\S]*jq -c \./],
    ['a spread object', JSON.stringify(row, null, 2), /span several lines/],
    ['objects in one line', text + text, /a line must have a single object/],
    ['lines that end at CR', `${text}\r${text}`, /with '\\r'/],
    ['Python', "{'instruction': 'a', 'output': None}", /Python's notation/],
    ['NaN', '{"instruction": "a", "output": NaN}', /no NaN or Infinity/],
    ['texts in a list', '["a", "b"]', /"a" is not an object/],
    ['two lists', `[${text}]\n[${text}]`, /there is more after the end of the JSON list/],
    ['a comma too many', `[${text},]`, /between two commas/],
    ['an empty element', `[${text},,${text}]`, /between two commas/],
    ['a cut line', `${text}\n{"instruction": "a`, /line 2 .*the file is cut off here/s],
    ['half of a surrogate pair', '{"instruction": "\\ud83d", "output": "a"}', /half of a surrogate pair/],
    ['a key twice', '{"instruction": "a", "output": "b", "output": "c"}', /key "output" appears twice/],
    [
      'a key twice, inside',
      '{"messages": [{"role": "user", "content": "a", "content": "b"}]}',
      /"content" appears twice/,
    ],
    ['deep lists', `{"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`, /nested 100001 deep; 64 is the most/],
    ['deep objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`, /nested 100000 deep/],
    [
      'Latin letters',
      Buffer.from('{"instruction": "Größe", "output": "b"}', 'latin1'),
      /is not UTF-8 text[\s\S]*iconv/,
    ],
    ['a zero byte', '{"instruction": "a\0", "output": "b"}', /control character[\s\S]*as escapes/i],
    ['nothing', '', /the file is empty/],
    ['blank lines', ' \n\t\n', /the file is empty/],
    ['an empty list', '[]', /the file is empty/],
  ])('%s is named', async (_, content, message) => {
    for (const name of ['rows.jsonl', 'rows.json']) {
      await write(name, content);
      const error = await open(name).catch((reason: Error) => reason);
      expect(error).toBeInstanceOf(RequestError);
      expect((error as Error).message).toMatch(message);
      expect((error as RequestError).problems.length).toBeLessThanOrEqual(2);
    }
  });

  it('is read where it only looks strange', async () => {
    const inherited = '"__proto__": {"x": 1}, "constructor": 1';
    const said = '"instruction": "a \\ud83d\\ude00 \u2028\u0085\\u000b", "output": "b: \\": {"';
    await write('rows.jsonl', `\uFEFF{${inherited}, ${said}}\r\n`);
    const { rows, reading } = await open('rows.jsonl').catch((error) => expect.fail(error.message));
    expect(rows).toEqual([
      {
        messages: [
          { role: 'user', content: 'a 😀 \u2028\u0085\v' },
          { role: 'assistant', content: 'b: ": {' },
        ],
      },
    ]);
    expect(reading.unreadColumns).toEqual(['__proto__', 'constructor']);
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });

  it('is given up after a thousand rows that cannot be read', async () => {
    await write('rows.jsonl', '{bad}\n'.repeat(200_000));
    const problems = await refused('rows.jsonl');
    expect(problems.at(-1)!.message).toBe('and 991 more problems in 0 rows');
  });
});

describe('lines', () => {
  it('end at \\n alone, after which \\r is white space', async () => {
    const lines = ['a\u2028b', 'c\u2029d', 'e\u0085f'].map((instruction) =>
      JSON.stringify({ instruction, output: 'x' }),
    );
    await write('rows.jsonl', `${lines.join('\r\n')}\r\n`);
    expect((await open('rows.jsonl')).rows).toHaveLength(3);
  });

  it('are read over the edges of chunks, as elements of lists are', async () => {
    const long = Array.from({ length: 40 }, (_, i) => ({ text: `${'ä"\\'.repeat(i * 700)}${i}` }));
    await write('rows.jsonl', long.map((one) => JSON.stringify(one)).join('\n'));
    await write('rows.json', JSON.stringify(long, null, 1));
    expect((await open('rows.jsonl', 'text')).rows).toEqual(long);
    expect((await open('rows.json', 'text')).rows).toEqual(long);
  });

  it('may be many: rows are spread over no call', async () => {
    await write('rows.jsonl', `${text}\n`.repeat(170_420));
    expect((await open('rows.jsonl')).rows).toHaveLength(170_420);
  }, 60_000);

  it.each(['rows.jsonl', 'rows.json'])(
    'of %s that are longer than 64 MiB are not read',
    async (name) => {
      const file = openSync(at(name), 'w');
      writeSync(file, name === 'rows.json' ? '[{"text": "' : '{"text": "');
      const chunk = Buffer.alloc(2 ** 20, 'x');
      for (let i = 0; i < 70; i++) writeSync(file, chunk);
      closeSync(file);
      const problems = await refused(name, 'text');
      expect(problems.map(({ line, message }) => [line, message])).toEqual([
        [1, 'a row of more than 64 MiB begins here'],
      ]);
    },
    60_000,
  );
});

describe.skipIf(process.platform === 'win32')('what is no regular file', () => {
  it('is named, never waited for', async () => {
    execFileSync('mkfifo', [at('pipe.jsonl')]);
    symlinkSync('/dev/zero', at('zero.jsonl'));
    symlinkSync('/dev/zero', at('zero.txt'));
    symlinkSync('loop.jsonl', at('loop.jsonl'));
    symlinkSync('nowhere', at('dangling.jsonl'));
    expect((await refused('pipe.jsonl'))[0]!.message).toBe('is a pipe, not a file');
    expect((await refused('zero.jsonl'))[0]!.message).toBe('is a device, not a file');
    expect((await refused('zero.txt', 'text'))[0]!.message).toBe('is a device, not a file');
    expect((await refused('loop.jsonl'))[0]!.message).toBe('is a link that leads to itself');
    expect((await refused('dangling.jsonl'))[0]!.message).toBe('is a link to nowhere, which does not exist');
    await expect(datasetFingerprint('pipe.jsonl', 'messages', { baseDirectory: folder })).rejects.toThrow('is a pipe');
  });
});

describe('folders', () => {
  const reads = async (use: Use = 'messages') => {
    const { rows, reading } = await open('.', use);
    return { rows: rows.length, left: reading.skippedFiles };
  };

  it('are read without what accompanies data, and say what they leave out', async () => {
    for (const name of [
      'README.md',
      'LICENSE.txt',
      'dataset_infos.json',
      '.hidden.jsonl',
      '.gitattributes',
      'more.parquet',
    ])
      await write(name, 'x');
    await write('rows.jsonl', `${text}\n`);
    mkdirSync(at('sub.jsonl'));
    expect(await reads()).toEqual({
      rows: 1,
      left: ['.hidden.jsonl', 'LICENSE.txt', 'README.md', 'dataset_infos.json', 'more.parquet', 'sub.jsonl/'],
    });
  });

  it('with a data card alone contain no data', async () => {
    await write('README.md', '# A data card');
    mkdirSync(at('data'));
    const [problem] = await refused('.', 'text');
    expect(problem!.message).toContain('it contains README.md, data/');
    expect(problem!.hint).toContain('name data');
  });

  it('of several splits are refused', async () => {
    for (const name of ['train.jsonl', 'test.jsonl']) await write(name, `${text}\n`);
    expect((await refused('.'))[0]!.message).toContain('several splits of a dataset');
    await rm(at('test.jsonl'));
    expect((await reads()).rows).toBe(1);
  });

  it('of `save_to_disk` are refused with how to load them', async () => {
    for (const name of ['state.json', 'dataset_info.json', 'data-00000-of-00001.arrow']) await write(name, '{}');
    expect((await refused('.'))[0]!.hint).toContain('datasets.load_from_disk');
  });
});
