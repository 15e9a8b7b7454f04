import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../src/cli/program.ts';
import { stages } from '../src/stages/index.ts';

const root = resolve(import.meta.dirname, '..');
const markdownIn = (folder: string) => readdirSync(join(root, folder)).filter((name) => name.endsWith('.md'));
const pages = [
  ...['README.md', 'bench/README.md', 'datasets/README.md', 'checkpoints/README.md', 'src/native/README.md'],
  ...markdownIn('docs').map((name) => join('docs', name)),
];
const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

/** Commands of `mixtune` in fenced blocks of the pages, as words. */
function commandsOf(page: string): string[][] {
  const blocks = [...textOf(page).matchAll(/^```(?:sh|text)\n([\s\S]*?)^```/gm)].map((match) => match[1]!);
  const lines = blocks.flatMap((block) => block.split('\n'));
  const commands = lines.map((line) => line.replace(/#.*/, '').match(/^(?:npx )?mixtune (.*)/)?.[1]);
  return commands.filter((words) => words !== undefined).map((words) => words.trim().split(/\s+/));
}

afterEach(() => void vi.restoreAllMocks());

async function helpOf(...command: string[]): Promise<string> {
  const written: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  expect(await runCommandLine([...command, '--help'], stages)).toBe(0);
  return written.join('');
}

const commands = pages.flatMap((page) =>
  commandsOf(page).map((words) => [`${page}: ${words.join(' ')}`, words] as const),
);

describe('commands on the pages', () => {
  it('are found', () => expect(commands.length).toBeGreaterThan(10));

  it.each(commands)('%s', async (_, words) => {
    const flags = words.filter((word) => word.startsWith('--'));
    const names = words.slice(0, words[0] === 'bench' || words[0] === 'runs' ? 2 : 1);
    const help = await helpOf(...names);
    expect(help).toContain(`Usage: mixtune ${names.join(' ')} `);
    for (const flag of flags) expect(help).toMatch(new RegExp(`${flag}(?![\\w-])`));
  });

  it('all stand in the table of the README, and no others', async () => {
    const table = textOf('README.md').match(/## Commands\n([\s\S]*?)\n\n[^|]/)![1]!;
    const told = [...table.matchAll(/^\| (`[^|]*) \|/gm)].flatMap((match) =>
      [...match[1]!.matchAll(/`([a-z]+)/g)].map((name) => name[1]!),
    );
    const parts = ['list', 'show', 'diff', 'train', 'generate', 'ops'];
    const help = (await helpOf()).match(/Commands:\n([\s\S]*)/)![1]!;
    const listed = [...help.matchAll(/^ {2}([a-z]+)/gm)].map((match) => match[1]!).filter((name) => name !== 'help');
    expect(new Set(told.filter((name) => listed.includes(name) || !parts.includes(name)))).toEqual(new Set(listed));
  });
});

/** Addresses of links of a page that lead to files of the repository, with the part after `#`. */
const linksOf = (page: string) => [...textOf(page).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map((match) => match[1]!);

/** What GitHub makes of a heading for links. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');

it.each(pages)('links of %s lead to what is there', (page) => {
  for (const link of linksOf(page)) {
    const [path, anchor] = link.split('#') as [string, string?];
    const target = path ? join(dirname(page), path) : page;
    expect(existsSync(join(root, target)), link).toBe(true);
    if (!anchor) continue;
    const headings = [...textOf(target).matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1]!));
    expect(headings, link).toContain(anchor);
  }
});
