import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { datasetFingerprint, describeReading, openDataset } from '../../src/data/dataset.ts';
import type { RowOf, Use } from '../../src/data/rows.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-columns-'));
  await mkdir(join(folder, 'datasets'));
});

afterAll(() => rm(folder, { recursive: true }));

async function open<U extends Use>(use: U, ...records: object[]) {
  await writeFile(join(folder, 'data.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  return openDataset('data.jsonl', use, { baseDirectory: folder });
}

const read = async <U extends Use>(use: U, ...records: object[]): Promise<readonly RowOf[U][]> =>
  (await open(use, ...records)).rows;

async function describedAs(yaml: string): Promise<void> {
  await writeFile(join(folder, 'datasets/mine.yaml'), `path: data.jsonl\n${yaml}\n`);
}

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });
const system = (content: string) => ({ role: 'system', content });
const talk = [user('q'), assistant('a')];

/** A row of each format, the use it is read for, and what its conversation begins with. */
const formats: readonly [name: string, use: Use, row: object][] = [
  ['alpaca', 'messages', { instruction: 'q', output: 'a' }],
  ['chat', 'messages', { messages: talk }],
  ['chat', 'prompt', { messages: talk }],
  [
    'sharegpt',
    'messages',
    {
      conversations: [
        { from: 'human', value: 'q' },
        { from: 'gpt', value: 'a' },
      ],
    },
  ],
  ['preference', 'preference', { prompt: 'q', chosen: 'a', rejected: 'b' }],
  ['preference', 'preference', { chosen: talk, rejected: [user('q'), assistant('b')] }],
  ['preference', 'feedback', { prompt: 'q', chosen: 'a', rejected: 'b' }],
  ['prompt', 'prompt', { prompt: 'q' }],
  ['choice', 'choice', { question: 'q', choices: ['a', 'b'], answer: 0 }],
];

describe('columns that change the meaning of a row', () => {
  describe.each(formats)('in %s rows read as %s', (_, use, row) => {
    it.each(['system', 'system_prompt'])('begins the conversation with `%s`', async (key) => {
      const [found] = await read(use, { ...row, [key]: 'Be brief.' });
      const messages = Object.values(found as object).find(Array.isArray);
      expect(messages?.slice(0, 2)).toEqual([system('Be brief.'), user('q')]);
    });

    it.each([
      'tools',
      'tool_calls',
      'functions',
      'function_call',
      'reasoning_content',
      'thinking',
      'chat_template',
      'chat_template_kwargs',
      'documents',
      'images',
      'image',
      'videos',
      'audio',
    ])('refuses `%s` by name, and takes it where it says nothing', async (key) => {
      await expect(read(use, row, { ...row, [key]: [{ x: 1 }] })).rejects.toThrow(
        new RegExp(`line 2 .*row 2, \`${key}\`: is not supported, and would change.*ignore: \\[${key}\\]`, 's'),
      );
      for (const nothing of [null, [], {}, '', '[]'])
        expect(await read(use, { ...row, [key]: nothing })).toHaveLength(1);
    });

    it('counts a row only as others', async () => {
      await expect(read(use, { ...row, weight: 0 })).rejects.toThrow('`weight`: is not supported');
      await expect(read(use, { ...row, train: false })).rejects.toThrow('`train`: is not supported');
      expect(await read(use, { ...row, weight: 1, train: true })).toHaveLength(1);
    });
  });

  it('names every refused key once, with how many rows have it', async () => {
    const call = { role: 'assistant', content: '', tool_calls: [{ id: 'c' }] };
    const row = { messages: [user('q'), call], tools: [{ type: 'function' }] };
    const refused = await read('messages', row, row).catch((error: Error) => error.message);
    expect(refused).toMatch(/^2 problems/);
    expect(refused).toMatch(/row 1, `messages\.1\.tool_calls`: .*a call of a function \(in 2 of 2 rows\)/);
    expect(refused).toMatch(/row 1, `tools`: .* \(in 2 of 2 rows\)/);
  });

  it.each(['tool_calls', 'function_call', 'reasoning_content', 'thinking', 'reasoning', 'name', 'images', 'refusal'])(
    'refuses `%s` of a message, in every column that holds messages',
    async (key) => {
      const said = [user('q'), { ...assistant('a'), [key]: ['x'] }];
      const other = [user('q'), assistant('b')];
      await expect(read('messages', { messages: said })).rejects.toThrow(`\`messages.1.${key}\`: is not supported`);
      await expect(read('messages', { conversations: said })).rejects.toThrow(`\`conversations.1.${key}\``);
      await expect(read('preference', { chosen: said, rejected: other })).rejects.toThrow(`\`chosen.1.${key}\``);
      await expect(read('preference', { prompt: 'q', chosen: said[1]!, rejected: other[1]! })).rejects.toThrow(
        `\`chosen.${key}\``,
      );
      expect(await read('messages', { messages: [user('q'), { ...assistant('a'), [key]: null }] })).toHaveLength(1);
    },
  );

  it.each(['label', 'labels', 'preference', 'winner', 'margin'])(
    'refuses `%s` beside chosen and rejected',
    async (key) => {
      const row = { prompt: 'q', chosen: 'a', rejected: 'b', [key]: 'rejected' };
      await expect(read('preference', row)).rejects.toThrow(`\`${key}\`: is not supported`);
      expect(await read('prompt', row)).toHaveLength(1);
    },
  );

  it('passes over what a descriptor ignores, and says that it is not read', async () => {
    await open('messages', { messages: talk, tools: [1] }).catch(() => {});
    await describedAs('ignore: [tools]');
    const { rows, reading } = await openDataset('mine', 'messages', { baseDirectory: folder });
    expect(rows).toEqual([{ messages: talk }]);
    expect(reading.unreadColumns).toEqual([]);
  });

  it('refuses two system turns that differ, and takes one said twice once', async () => {
    const row = { messages: [system('s'), ...talk] };
    expect(await read('messages', { ...row, system: 's' })).toEqual([row]);
    await expect(read('messages', { ...row, system: 't' })).rejects.toThrow(
      'the system turn of the conversation differ',
    );
    await expect(read('messages', { messages: talk, system: 's', system_prompt: 't' })).rejects.toThrow(
      'two different',
    );
    expect(await read('messages', { messages: talk, system: '' })).toEqual([{ messages: talk }]);
  });

  it('puts the history of an instruction before it', async () => {
    const row = { instruction: 'q', output: 'a', system: 's', history: [['x', 'y']] };
    expect(await read('messages', row)).toEqual([{ messages: [system('s'), user('x'), assistant('y'), ...talk] }]);
    await expect(read('messages', { ...row, history: [['x']] })).rejects.toThrow('`history');
    await expect(read('messages', { messages: talk, history: [['x', 'y']] })).rejects.toThrow(
      '`history`: is not supported',
    );
  });
});

describe('turns that are marked as not trained', () => {
  it.each([{ weight: 0 }, { train: false }, { loss: false }, { weight: 0, train: false }])(
    '%o is context',
    async (mark) => {
      const messages = [
        user('q'),
        { ...assistant('bad'), ...mark },
        user('again'),
        { ...assistant('good'), weight: 1 },
      ];
      const [row] = await read('messages', { messages });
      expect(row!.messages.map(({ trained }) => trained)).toEqual([undefined, false, undefined, undefined]);
    },
  );

  it('is refused where it cannot be meant', async () => {
    const marked = (mark: object) => [user('q'), { ...assistant('a'), ...mark }];
    await expect(read('messages', { messages: marked({ weight: 0.5 }) })).rejects.toThrow(
      '`weight` is 0.5: only 0 and 1',
    );
    await expect(read('messages', { messages: marked({ weight: 1, train: false }) })).rejects.toThrow('contradict');
    await expect(read('messages', { messages: marked({ weight: 0 }) })).rejects.toThrow('no assistant turn is trained');
    await expect(read('messages', { messages: [{ ...user('q'), train: true }, assistant('a')] })).rejects.toThrow(
      "only the assistant's turns are trained",
    );
    const answer = { ...assistant('a'), weight: 0 };
    await expect(read('preference', { prompt: 'q', chosen: [answer], rejected: 'b' })).rejects.toThrow('not trained');
  });

  it('is no right answer to a prompt', async () => {
    expect(await read('prompt', { messages: [user('q'), { ...assistant('bad'), weight: 0 }] })).toEqual([
      { prompt: [user('q')] },
    ]);
  });
});

describe('columns that are not read', () => {
  it('are named once, with those of messages', async () => {
    const said = { ...assistant('a'), id: 7 };
    const { reading } = await open(
      'messages',
      { id: 1, messages: [user('q'), said] },
      { messages: talk, source: 'web' },
    );
    expect(reading.unreadColumns).toEqual(['id', 'messages.id', 'source']);
    expect(describeReading(reading)).toEqual([
      'read as chat, because the first row has `messages`',
      'not read: `id`, `messages.id`, `source`',
    ]);
  });

  it('are no matter where they are null', async () => {
    const { rows, reading } = await open('messages', { messages: talk, prompt: null, chosen: null, rejected: null });
    expect(rows).toEqual([{ messages: talk }]);
    expect(reading.unreadColumns).toEqual([]);
    expect(await read('messages', { instruction: 'q', input: null, output: 'a', system: null, history: null })).toEqual(
      [{ messages: talk }],
    );
    const pair = { prompt: null, chosen: talk, rejected: [user('q'), assistant('b')], score_chosen: null };
    expect(await read('preference', pair)).toEqual([{ prompt: [user('q')], chosen: 'a', rejected: 'b' }]);
  });

  it('do not hide a format that serves the use', async () => {
    const row = { prompt: 'q', chosen: talk, rejected: [user('q'), assistant('b')], messages: talk };
    expect(await read('messages', row)).toEqual([{ messages: talk }]);
    expect(await read('preference', row)).toHaveLength(1);
  });
});

describe('columns of a descriptor', () => {
  const open = () => openDataset('mine', 'messages', { baseDirectory: folder });

  it('are moved: what is mapped is not read under its own name as well', async () => {
    await read('text', { input: 'q', output: 'a' }).catch(() => {});
    await describedAs('format: alpaca\ncolumns: { instruction: input }');
    expect((await open()).rows).toEqual([{ messages: talk }]);
  });

  it('have to be there, optional ones too', async () => {
    await read('text', { question: 'q', reply: 'a', context: 'c', answers: { text: 'a' } }).catch(() => {});
    const columns = (others: string) => describedAs(`format: alpaca\ncolumns: { instruction: question, ${others} }`);
    await columns('output: reply, input: contxt');
    await expect(open()).rejects.toThrow(
      /columns\.input: the file has no column `contxt`[\s\S]*did you mean `context`/,
    );
    await columns('output: answers.text');
    await expect(open()).rejects.toThrow(/no column `answers.text`[\s\S]*nested columns are not read/);
    await columns('output: reply, input: context');
    expect((await open()).rows).toEqual([{ messages: [user('q\n\nc'), assistant('a')] }]);
  });

  it('may be absent from some rows', async () => {
    await read('text', { question: 'q', reply: 'a' }, { question: 'q', reply: 'a', context: 'c' }).catch(() => {});
    await describedAs('format: alpaca\ncolumns: { instruction: question, output: reply, input: context }');
    expect((await open()).rows).toHaveLength(2);
  });

  it('take the place of a column of the same name, which is named as not read', async () => {
    await read('text', { instruction: 'old', question: 'q', output: 'a' }).catch(() => {});
    await describedAs('format: alpaca\ncolumns: { instruction: question }');
    const { rows, reading } = await open();
    expect(rows).toEqual([{ messages: talk }]);
    expect(reading.unreadColumns).toEqual(['instruction']);
  });

  it('are in the fingerprint, with what is ignored', async () => {
    const fingerprint = () => datasetFingerprint('mine', 'messages', { baseDirectory: folder });
    const found = new Set<string>();
    for (const yaml of [
      'format: alpaca',
      'format: chat',
      'format: alpaca\ncolumns: { input: question }',
      'format: alpaca\ncolumns: { output: question }',
      'format: alpaca\nignore: [tools]',
    ]) {
      await describedAs(yaml);
      found.add(await fingerprint());
    }
    expect(found.size).toBe(5);
  });
});
