import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataset } from '../../src/data/dataset.ts';
import type { Use } from '../../src/data/rows.ts';
import { loadSchemaCheck } from '../../src/evaluation/json-schema.ts';
import { isSameNumber, lastNumber } from '../../src/evaluation/numbers.ts';
import { loadRewardFunction, tryRewardFunction } from '../../src/evaluation/reward-function.ts';
import { TimeLimitError } from '../../src/time-limit.ts';
import { folder, hold } from './harness.ts';
import { mutateBytes, mutateJson, mutateJsonLines, mutateText } from './mutators.ts';

const rows: Record<string, { use: Use; rows: unknown[] }> = {
  alpaca: { use: 'messages', rows: [{ instruction: 'Say it.', input: 'x', output: 'x' }] },
  chat: {
    use: 'messages',
    rows: [
      {
        messages: [
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: [{ type: 'text', text: 'Ho' }] },
        ],
      },
    ],
  },
  shareGpt: {
    use: 'messages',
    rows: [
      {
        conversations: [
          { from: 'human', value: 'Hi' },
          { from: 'gpt', value: 'Ho' },
        ],
      },
    ],
  },
  preference: { use: 'preference', rows: [{ prompt: 'Hi', chosen: 'Ho', rejected: 'Hu' }] },
  unpaired: {
    use: 'feedback',
    rows: [
      { prompt: 'Hi', completion: 'Ho', label: true },
      { prompt: 'a', completion: 'b', label: false },
    ],
  },
  choice: { use: 'choice', rows: [{ question: 'One?', choices: ['one', 'two'], answer: 0 }] },
  prompt: { use: 'prompt', rows: [{ prompt: 'How much?', answer: '4' }] },
  text: { use: 'text', rows: [{ text: 'Once upon a time' }] },
};

const samplesOf = (ending: 'json' | 'jsonl') =>
  Object.values(rows).map(({ rows }) =>
    ending === 'json' ? JSON.stringify(rows) : `${rows.map((row) => JSON.stringify(row)).join('\n')}\n`,
  );

/** Reads a file with each use that a row of the sample may have. */
async function readAll(file: string, input: Buffer): Promise<unknown[]> {
  writeFileSync(join(folder, file), input);
  const uses = [...new Set(Object.values(rows).map(({ use }) => use))];
  const found = await Promise.allSettled(
    uses.map((use) => openDataset(file, use, { baseDirectory: folder, split: 'train' })),
  );
  const errors = found.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  const strange = errors.find((error) => error?.name !== 'RequestError');
  if (strange) throw strange;
  if (errors.length === uses.length) throw errors[0];
  return found;
}

/** A pattern that backtracks ends at its time; the reward is then 0. */
function within(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (error instanceof TimeLimitError) return false;
    throw error;
  }
}

let modules = 0;

hold([
  {
    name: 'jsonl',
    samples: samplesOf('jsonl'),
    mutators: [mutateJsonLines, mutateJsonLines, mutateText, mutateBytes],
    read: (input) => readAll('rows.jsonl', input),
  },
  {
    name: 'json',
    samples: samplesOf('json'),
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    read: (input) => readAll('rows.json', input),
  },
  {
    name: 'json-schema',
    samples: [
      JSON.stringify({
        type: 'object',
        properties: { name: { type: 'string', pattern: '^a+$' }, age: { type: 'integer', minimum: 0 } },
        required: ['name'],
      }),
      JSON.stringify({
        $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' } } } },
        $ref: '#/$defs/node',
      }),
    ],
    mutators: [mutateJson, mutateJson, mutateText, mutateBytes],
    async read(input) {
      const file = join(folder, 'schema.json');
      writeFileSync(file, input);
      const satisfies = await loadSchemaCheck(file);
      return ['{"name":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaab","age":1}', '{', '[[]]'].map((text) =>
        within(() => satisfies(text)),
      );
    },
  },
  {
    name: 'reward-function',
    repeats: true,
    samples: [
      'export default (prompt, completion, answer) => completion.length;\n',
      'export const rewards = (all) => all.map(() => 1);\n',
    ],
    mutators: [mutateText, mutateText, mutateBytes],
    async read(input) {
      // A module of a name is loaded once.
      const file = join(folder, `reward-${modules++ % 10_000}-${process.pid}.mjs`);
      // What a program of the user's does is not ours to bound: loops and exits are left out.
      const text = input.toString('utf8').replaceAll(/while|for|process|exit/g, 'x');
      writeFileSync(file, text === input.toString('utf8') ? input : text);
      const reward = await loadRewardFunction(file);
      await tryRewardFunction(reward, { prompt: [{ role: 'user', content: 'Hi' }], answer: 'x' });
      return reward;
    },
  },
  {
    name: 'numbers',
    samples: ['The answer is 1,234.50 dollars', '$-3/4$', '25 %', '1.5e3', '10^{6}', '\\frac{1}{2}', '٣٫٥', '2 1/2'],
    mutators: [mutateText, mutateText, mutateBytes],
    read(input) {
      const found = lastNumber(input.toString('utf8'));
      if (found && !isSameNumber(found, found)) return 'is not itself';
      return undefined;
    },
    wrong: (found: string | undefined) => found,
  },
]);
