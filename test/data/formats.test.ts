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

  it('joins parts of text, and names a part that is none', async () => {
    const parts = (...content: object[]) => ({ messages: [{ role: 'user', content }, assistant('b')] });
    const text = (text: string) => ({ type: 'text', text });
    expect(await read('messages', parts(text('a'), text('b')))).toEqual([{ messages: [user('ab'), assistant('b')] }]);
    await expect(read('messages', parts(text('a'), { type: 'image_url', image_url: 'x' }))).rejects.toThrow(
      'is a list of parts, and part 2 is of the type `image_url`: only parts {type: "text", text} are read',
    );
    await expect(read('messages', parts({ text: 'a' }))).rejects.toThrow('part 1 is without a type');
  });

  it('says how many rows end with a question, and asks that question', async () => {
    const path = join(folder, 'open.json');
    await writeFile(path, JSON.stringify([{ messages: [user('a'), assistant('b'), user('c')] }, { messages }]));
    expect((await openDataset(path, 'messages')).reading.remarks).toEqual([
      '1 of 2 rows end with a user turn, which is not trained on',
    ]);
    const { rows, reading } = await openDataset(path, 'prompt');
    expect(rows[0]).toEqual({ prompt: [user('a'), assistant('b'), user('c')] });
    expect(reading.remarks).toEqual(['1 of 2 rows end with a user turn: prompts without an answer']);
  });

  it('names the message that is wrong', async () => {
    await expect(read('messages', { messages: [user('a'), { role: 'bot', content: 'b' }] })).rejects.toThrow(
      'message 2: role `bot` is not one of system, user',
    );
    await expect(read('messages', { messages: [user('a'), { role: 'assistant' }] })).rejects.toThrow(
      "message 2: the assistant's message has no text",
    );
    await expect(read('messages', { messages: [user('a')] })).rejects.toThrow('no assistant turn');
    await expect(read('messages', { messages: [assistant('a')] })).rejects.toThrow('begins with the assistant');
    await expect(read('messages', { messages: [user('a'), { role: 'system', content: 'x' }] })).rejects.toThrow(
      'system message after',
    );
    await expect(read('messages', { messages: 'hi' })).rejects.toThrow('expected a list of messages');
    for (const role of ['tool', 'function', 'observation', 'function_call']) {
      await expect(read('messages', { messages: [user('a'), { role, content: '1' }] })).rejects.toThrow(
        `role \`${role}\`: turns of tools are not read`,
      );
    }
    await expect(read('messages', { messages: [{ role: 'constructor', content: 'x' }] })).rejects.toThrow(
      '`constructor` is not one of',
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

  it('counts the prompt together with answers of several turns', async () => {
    const prompt = [{ role: 'system', content: 's' }, user('a')];
    const turns = [assistant('b'), user('c')];
    const pair = { prompt: [...prompt, ...turns], chosen: 'x', rejected: 'y' };
    const answers = (...before: object[]) => ({
      chosen: [...before, assistant('x')],
      rejected: [...before, assistant('y')],
    });
    const spellings = [
      { prompt, ...answers(...turns) },
      { prompt: [...prompt, ...turns], ...answers() },
      { prompt, ...answers(...prompt, ...turns) },
      { prompt: 'a', system: 's', ...answers(...turns) },
      { prompt: 'a', ...answers(...prompt, ...turns) },
      { conversations: prompt, ...answers(...turns) },
      answers(...prompt, ...turns),
    ];
    expect(await read('preference', ...spellings)).toEqual(spellings.map(() => pair));
  });

  it('takes a prompt with marked turns apart as it does answers', async () => {
    const talk = [user('a'), assistant('b'), user('c')];
    const marked = '\n\nHuman: a\n\nAssistant: b\n\nHuman: c';
    const pair = { prompt: talk, chosen: 'yes', rejected: 'no' };
    const spellings = [
      { prompt: `${marked}\n\nAssistant:`, chosen: ' yes', rejected: ' no' },
      { prompt: `${marked}\n\nAssistant: `, chosen: 'yes', rejected: 'no' },
      { prompt: marked, chosen: 'yes', rejected: 'no' },
      {
        prompt: `${marked}\n\nAssistant:`,
        chosen: `${marked}\n\nAssistant: yes`,
        rejected: `${marked}\n\nAssistant: no`,
      },
      { chosen: `${marked}\n\nAssistant: yes`, rejected: `${marked}\n\nAssistant: no` },
    ];
    expect(await read('preference', ...spellings)).toEqual(spellings.map(() => pair));
    expect(await read('prompt', { prompt: `${marked}\n\nAssistant:` })).toEqual([{ prompt: talk }]);
    const feedback = { prompt: `${marked}\n\nAssistant:`, completion: ' yes', label: true };
    const [row] = await read('feedback', feedback, { ...feedback, label: false });
    expect(row).toEqual({ prompt: talk, answers: [{ text: 'yes', desirable: true }] });
  });

  it('refuses answers that contradict the prompt', async () => {
    const other = { chosen: [user('z'), assistant('x')], rejected: [user('z'), assistant('y')] };
    await expect(read('preference', { prompt: 'a', ...other })).rejects.toThrow(
      'row 1: `chosen` begins with a different conversation from the prompt',
    );
    const rejected = [user('a'), assistant('y')];
    await expect(read('preference', { prompt: 'a', chosen: 'x', rejected: other.rejected })).rejects.toThrow(
      '`rejected` begins with a different conversation',
    );
    expect(await read('preference', { prompt: 'a', chosen: 'x', rejected })).toHaveLength(1);
    const systems = { chosen: [{ role: 'system', content: 's' }, user('a'), assistant('x')], rejected };
    await expect(read('preference', { prompt: 'a', ...systems })).rejects.toThrow('do not share a beginning');
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
    for (const [better, worse] of [
      ['chosen_score', 'rejected_score'],
      ['chosen_rating', 'rejected_rating'],
      ['chosen-rating', 'rejected-rating'],
    ] as const) {
      const row = { prompt: 'a', chosen: 'b', rejected: 'c', [better]: 1, [worse]: 2 };
      await expect(read('preference', row)).rejects.toThrow('has the lower score, 1 against 2');
    }
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
    await expect(read('feedback', one, one)).rejects.toThrow(/`label`: is false in all 2 rows.*use sft/s);
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
    for (const answer of [-1, 3, 1.5, true, '1', 'D', null, [0]]) {
      await expect(read('choice', { question: 'q', choices, answer })).rejects.toThrow('`answer`');
    }
    await expect(read('choice', { question: 'q', choices, answer: 3 })).rejects.toThrow(
      '`answer` 3 is neither an index below 3',
    );
    await expect(read('choice', { choices, answer: 0 })).rejects.toThrow('`question` is missing');
  });

  it.each(['', '  ', '\n'])('refuses the choice %j in every form', async (empty) => {
    await expect(read('choice', { question: 'q', choices: ['a', empty], answer: 0 })).rejects.toThrow(
      '`choices.1`: is empty',
    );
    await expect(read('prompt', { question: 'q', choices: ['a', empty], answer: 0 })).rejects.toThrow('is empty');
    const commonsense = (instruction: string, format: string) => ({
      instruction: `${instruction}\n\nAnswer format: ${format}`,
      output: 'x',
      answer: 'answer1',
    });
    const three = 'answer1/answer2/answer3';
    for (const choices of [`Answer2: ${empty} Answer3: c`, `Answer2: b Answer3: ${empty}`]) {
      await expect(read('choice', commonsense(`Q\n\nAnswer1: a ${choices}`, three))).rejects.toThrow(
        /the choice `answer[23]` is empty/,
      );
    }
    await expect(read('choice', commonsense('Q', `answer1/${empty}`))).rejects.toThrow('fewer than two choices');
  });

  it('reads numbers as answers, as far as they are exact', async () => {
    const rows = await read('prompt', ...[42, 0.1, -3, '1,000'].map((answer) => ({ prompt: 'a', answer })));
    expect(rows.map(({ answer }) => answer)).toEqual(['42', '0.1', '-3', '1,000']);
    await expect(read('prompt', { prompt: 'a', answer: 2 ** 60 })).rejects.toThrow('write it as text');
  });

  it('reads an instruction of many line breaks in linear time', async () => {
    const instruction = `${'\n'.repeat(200_000)}x`;
    await expect(read('choice', { instruction, output: 'a', answer: 'b' })).rejects.toThrow('does not end in');
  });
});
