import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/dataset.ts';
import type { RowOf, Use } from '../../src/data/rows.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-formats-'));
});

afterAll(() => rm(folder, { recursive: true }));

/** The rows that a file with these records gives. */
async function read<U extends Use>(use: U, ...records: object[]): Promise<readonly RowOf[U][]> {
  const path = join(folder, 'data.json');
  await writeFile(path, JSON.stringify(records));
  return (await openDataset(path, use)).rows;
}

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('alpaca and Commonsense170K', () => {
  const choice = (instruction: string, answer: string) => ({
    instruction,
    input: '',
    output: `the correct answer is ${answer}`,
    answer,
  });

  it('puts the input behind the instruction', async () => {
    expect(
      await read('messages', { instruction: 'Add.', input: '1 2', output: '3' }, { instruction: 'Hi', output: 'Ho' }),
    ).toEqual([{ messages: [user('Add.\n\n1 2'), assistant('3')] }, { messages: [user('Hi'), assistant('Ho')] }]);
  });

  it('asks for the label where there is one', async () => {
    const [row] = await read(
      'prompt',
      choice('Q\n\nAnswer1: a Answer2: b\n\nAnswer format: answer1/answer2', 'answer2'),
    );
    expect(row?.answer).toBe('answer2');
  });

  it('takes the choices out of the instruction', async () => {
    const question = 'Please choose the correct answer to the question: What is an Answer: 42?';
    const rows = await read(
      'choice',
      choice(
        `${question}\n\nAnswer1: six Answer2: a: b Answer3: seven\n\nAnswer format: answer1/answer2/answer3`,
        'answer2',
      ),
      choice(
        'Please answer the following question with true or false, question: is it?\n\nAnswer format: true/false',
        'false',
      ),
      choice(
        'Please choose the correct ending to complete the given sentence: He\n\nEnding1: ran Ending2: slept\n\nAnswer format: ending1/ending2',
        'ending1',
      ),
    );
    expect(rows).toEqual([
      { prompt: [user('What is an Answer: 42?')], choices: ['six', 'a: b', 'seven'], answer: 1 },
      { prompt: [user('is it?')], choices: ['true', 'false'], answer: 1 },
      { prompt: [user('He')], choices: ['ran', 'slept'], answer: 0 },
    ]);
  });

  it('says what of the instruction does not fit', async () => {
    await expect(read('choice', { instruction: 'Q', output: 'A' })).rejects.toThrow('`answer` is missing');
    await expect(read('choice', choice('Q', 'answer1'))).rejects.toThrow('does not end in `Answer format');
    await expect(
      read('choice', choice('Q\n\nAnswer1: a\n\nAnswer format: answer1/answer2', 'answer1')),
    ).rejects.toThrow('`answer2` of the answer format is not');
    await expect(read('choice', choice('Q\n\nAnswer format: true/false', 'maybe'))).rejects.toThrow(
      'names true, false',
    );
  });
});

describe('conversations', () => {
  const messages = [{ role: 'system', content: 's' }, user('a'), assistant('b'), user('c'), assistant('d')];

  it('reads chat messages, and what comes before the last answer as a prompt', async () => {
    expect(await read('messages', { messages })).toEqual([{ messages }]);
    expect(await read('prompt', { messages })).toEqual([{ prompt: messages.slice(0, 4), answer: 'd' }]);
  });

  it('reads ShareGPT, without what the assistant says before the first question', async () => {
    const conversations = [
      { from: 'gpt', value: 'welcome' },
      { from: 'human', value: 'a' },
      { from: 'gpt', value: 'b' },
    ];
    expect(await read('messages', { conversations })).toEqual([{ messages: [user('a'), assistant('b')] }]);
  });

  it('names the message that is wrong', async () => {
    await expect(read('messages', { messages: [user('a'), { role: 'bot', content: 'b' }] })).rejects.toThrow(
      'message 2: role `bot` is none of system, user',
    );
    await expect(read('messages', { messages: [user('a'), { role: 'assistant' }] })).rejects.toThrow(
      "message 2: the assistant's message has no text",
    );
    await expect(read('messages', { messages: [user('a')] })).rejects.toThrow('no assistant turn');
    await expect(read('messages', { messages: [assistant('a')] })).rejects.toThrow('begins with the assistant');
    await expect(read('messages', { messages: [user('a'), { role: 'system', content: 'x' }] })).rejects.toThrow(
      'system message behind',
    );
    await expect(read('messages', { messages: 'hi' })).rejects.toThrow('expected a list of messages');
    await expect(read('messages', { messages: [{ role: 'constructor', content: 'x' }] })).rejects.toThrow(
      '`constructor` is none of',
    );
  });
});

describe('preference pairs', () => {
  const row = { prompt: [user('a')], chosen: 'yes', rejected: 'no' };

  it('reads every spelling of the same pair', async () => {
    const spellings = [
      { prompt: 'a', chosen: 'yes', rejected: 'no' },
      { prompt: [user('a')], chosen: [assistant('yes')], rejected: [assistant('no')] },
      { prompt: 'a', chosen: [user('a'), assistant('yes')], rejected: [user('a'), assistant('no')] },
      { chosen: [user('a'), assistant('yes')], rejected: [user('a'), assistant('no')] },
      { chosen: '\n\nHuman: a\n\nAssistant: yes', rejected: '\n\nHuman: a\n\nAssistant: no' },
      {
        conversations: [{ from: 'human', value: 'a' }],
        chosen: { from: 'gpt', value: 'yes' },
        rejected: { from: 'gpt', value: 'no' },
      },
    ];
    expect(await read('preference', ...spellings)).toEqual(spellings.map(() => row));
    expect(await read('prompt', spellings[0]!)).toEqual([{ prompt: [user('a')] }]);
  });

  it('keeps the turns of a longer prompt', async () => {
    const talk = [user('a'), assistant('b'), user('c')];
    const [pair] = await read('preference', { chosen: [...talk, assistant('x')], rejected: [...talk, assistant('y')] });
    expect(pair).toEqual({ prompt: talk, chosen: 'x', rejected: 'y' });
  });

  it('says what is wrong with a pair', async () => {
    await expect(read('preference', { prompt: 'a', chosen: 'b' })).rejects.toThrow(
      '`rejected`: is missing; every row of a preference file',
    );
    await expect(read('preference', { prompt: 'a', chosen: 'b', rejected: 'b' })).rejects.toThrow('are the same text');
    await expect(read('preference', { chosen: 'b', rejected: 'c' })).rejects.toThrow('`prompt` is missing');
    await expect(read('preference', { prompt: 'a', chosen: 'b', rejected: ' ' })).rejects.toThrow('is empty');
    const scored = { prompt: 'a', chosen: 'b', rejected: 'c', score_chosen: 2, score_rejected: 5 };
    await expect(read('preference', scored)).rejects.toThrow('has the lower score, 2 against 5');
    expect(await read('preference', { ...scored, score_chosen: 5 })).toHaveLength(1);
    const differing = {
      chosen: [user('a'), assistant('b'), user('c'), assistant('x')],
      rejected: [user('a'), assistant('z')],
    };
    await expect(read('preference', differing)).rejects.toThrow('differ in more than their last turn');
  });
});

describe('unpaired preferences', () => {
  const wanted = { prompt: [user('a')], answers: [{ text: 'yes', desirable: true }] };
  const unwanted = { prompt: [user('a')], answers: [{ text: 'no', desirable: false }] };

  it('reads texts and messages, and labels as truth values or 0 and 1', async () => {
    const rows = await read(
      'feedback',
      { prompt: 'a', completion: 'yes', label: true },
      { prompt: 'a', completion: 'no', label: 0 },
      { prompt: [user('a')], completion: [assistant('yes')], label: 1 },
    );
    expect(rows).toEqual([wanted, unwanted, wanted]);
    expect(await read('prompt', { prompt: 'a', completion: 'yes', label: true })).toEqual([{ prompt: [user('a')] }]);
  });

  it('reads a pair as two answers', async () => {
    expect(await read('feedback', { prompt: 'a', chosen: 'yes', rejected: 'no' })).toEqual([
      { prompt: [user('a')], answers: [...wanted.answers, ...unwanted.answers] },
    ]);
  });

  it('says what is wrong with each row, with its line, at once', async () => {
    const path = join(folder, 'feedback.jsonl');
    const rows = [
      { prompt: 'a', completion: 'yes', label: true },
      { prompt: 'a', completion: ' ', label: true },
      { prompt: 'a', completion: 'b' },
      { prompt: 'a', completion: 'b', label: 'good' },
      { prompt: 'a', label: true },
      { prompt: 'a', completion: [user('b')], label: true },
    ];
    await writeFile(path, rows.map((row) => JSON.stringify(row)).join('\n'));
    const refused = await openDataset(path, 'feedback').catch((error: Error) => error.message);
    expect(refused).toMatch(/^5 problems/);
    expect(refused).toMatch(/line 2 .*`completion`: is empty/);
    expect(refused).toMatch(/line 3 .*`label`: is missing/);
    expect(refused).toMatch(/line 4 .*`label`: found "good", expected true or false or 1 or 0/);
    expect(refused).toMatch(/line 5 .*`completion`: is missing; every row of unpaired preferences needs/);
    expect(refused).toMatch(/line 6 .*`completion`: expected one message of the assistant/);
    // The one row that is left says nothing about labels.
    expect(refused).not.toMatch(/in all/);
  });

  it('refuses answers of one kind only', async () => {
    const one = { prompt: 'a', completion: 'no', label: false };
    await expect(read('feedback', one, one)).rejects.toThrow(/`label`: is false in all 2 rows.*train with sft/s);
  });
});

describe('prompts and choices', () => {
  it('reads prompts with and without an answer', async () => {
    expect(await read('prompt', { prompt: 'a', answer: 'b' }, { prompt: [user('c')] })).toEqual([
      { prompt: [user('a')], answer: 'b' },
      { prompt: [user('c')] },
    ]);
    await expect(read('prompt', { prompt: [assistant('a')] })).rejects.toThrow('does not end with a user turn');
  });

  it('reads an answer as an index, a letter or the choice itself', async () => {
    const choices = ['A', 'red', 'blue'];
    const rows = await read('choice', ...[2, 'C', 'blue', 'A'].map((answer) => ({ question: 'q', choices, answer })));
    expect(rows.map(({ answer }) => answer)).toEqual([2, 2, 2, 0]);
    await expect(read('choice', { question: 'q', choices, answer: 3 })).rejects.toThrow(
      '`answer` 3 is no index below 3',
    );
    await expect(read('choice', { choices, answer: 0 })).rejects.toThrow('`question` is missing');
  });
});
