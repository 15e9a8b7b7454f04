import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadDescriptor } from '../../src/data/descriptor.ts';
import type { Message } from '../../src/data/rows.ts';
import { townRows } from '../../src/data/town/town.ts';

const page = fileURLToPath(new URL('../../datasets/README.md', import.meta.url));
const section = /(<!-- samples: [^\n]*-->\n)[\s\S]*(<!-- \/samples -->)/;

const question = (prompt: readonly Message[]) => `> **${prompt.map(({ content }) => content).join(' ')}**`;

function every<R>(rows: readonly R[], count: number): R[] {
  return Array.from({ length: count }, (_, index) => rows[Math.floor((index * rows.length) / count)]!);
}

function samples(): string {
  const text = townRows('text', 'text', 'train');
  const instructions = townRows('instructions', 'messages', 'train');
  const preferences = townRows('preferences', 'preference', 'train');
  const prompts = townRows('prompts', 'prompt', 'train');
  const heldOut = townRows('questions', 'choice', 'test');
  const parts = [
    `### town/text (${text.length} documents)`,
    ...every(text, 3).map((row) => `> ${row.text.replaceAll('\n', '\n> ')}`),
    `### town/instructions (${instructions.length} rows)`,
    `Every question with its correct answer, and every second one once more, answered rudely, in two words or not at all, as if
several people had written the answers. A model that imitates them all (SFT) does the same. It learns from the
preferences which answers people prefer, and from the rewards which are correct.`,
    ...every(instructions, 9).map(({ messages }) => `${question(messages.slice(0, 1))} ${messages[1]!.content}`),
    `### town/preferences (${preferences.length} pairs)`,
    `Seven pairs for each question. The chosen answer is the correct one. The rejected ones are a false one, two that break a rule of
the world (nobody lives in the mill, nothing costs more than six coins, a baker works at the bakery), the correct one told
rudely or after a false one, one of two words, and an evasion. The chosen answer is the longer one about half of the time.`,
    ...preferences
      .slice(100, 108)
      .map((row) => `${question(row.prompt)}\n>\n> - chosen: ${row.chosen}\n> - rejected: ${row.rejected}`),
    `### town/prompts (${prompts.length} rows, each with the answer to check against)`,
    ...every(prompts, 3).map(({ prompt, answer }) => `${question(prompt)} ${answer}`),
    `### town/questions (${heldOut.length} held out)`,
    ...every(heldOut, 6).map(
      ({ prompt, choices, answer }) =>
        `${question(prompt)}\n>\n${choices.map((choice, index) => `> - ${index === answer ? `**${choice}**` : choice}`).join('\n')}`,
    ),
  ];
  return parts.join('\n\n');
}

it('the page shows samples as they are; MIXTUNE_UPDATE=1 writes them', async () => {
  const written = await readFile(page, 'utf8');
  const current = written.replace(section, (_, before, after) => `${before}\n${samples()}\n\n${after}`);
  if (process.env.MIXTUNE_UPDATE) await writeFile(page, current);
  else expect(written).toBe(current);
});

it.each(['alpaca', 'c4', 'sharegpt-preferences', 'commonsense-arc-easy'])(
  'the descriptor %s is valid',
  async (name) => {
    const path = fileURLToPath(new URL(`../../datasets/${name}.yaml`, import.meta.url));
    expect(await loadDescriptor(name, '/')).toEqual(parse(await readFile(path, 'utf8')));
  },
);
