import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { reportFailure } from '../../src/cli/failure.ts';
import { print, printText, tell } from '../../src/cli/output.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { openProgress } from '../../src/cli/progress.ts';
import { table } from '../../src/cli/table.ts';
import { formatProblems, RequestError, RunError } from '../../src/errors.ts';
import { stages } from '../../src/stages/index.ts';
import { visible } from '../../src/visible.ts';

/** Clears the screen, sets the title, rings, goes back, in C1 too; turns the direction of writing. */
const evil = 'a\u001b[2J\u001b]0;owned\u0007b\r\b\u007f\u009b31m\u202egnp.exe\u2066\u2028';
const obeyed = /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

const folder = mkdtempSync(join(tmpdir(), 'mixtune-terminal-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Everything that is written to both streams meanwhile. */
async function written(act: () => unknown): Promise<string> {
  let text = '';
  const collect = (chunk: unknown) => {
    text += String(chunk);
    return true;
  };
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation(collect));
  try {
    await act();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return text;
}

describe('what a terminal would obey', () => {
  it('is shown instead', () => {
    expect(visible(evil)).toBe(
      'a\\u001b[2J\\u001b]0;owned\\u0007b\\u000d\\u0008\\u007f\\u009b31m\\u202egnp.exe\\u2066\\u2028',
    );
    expect(visible('größer 👩‍👩‍👧 עברית\tx\n')).toBe('größer 👩‍👩‍👧 עברית\tx\n');
  });

  const writers: [string, () => unknown][] = [
    ['problem', () => reportFailure(new RequestError({ where: evil, message: evil, hint: evil }, evil))],
    ['failed run', () => reportFailure(new RunError(evil, { hint: evil }))],
    ['raw error', () => reportFailure(new Error(evil))],
    ['line', () => tell(evil)],
    ['progress', () => openProgress().ended('sft', evil)],
    ['start', () => openProgress().started(evil)],
    ['table', () => print(table([evil], [[evil]]), false)],
    ['JSON', () => print({ [evil]: evil }, true)],
    ['unknown command', () => runCommandLine([evil], stages)],
    ['unknown flag', () => runCommandLine(['sft', `--${evil}`], stages)],
    ['value of a flag', () => runCommandLine(['sft', '--seed', evil], stages)],
    ['missing pipeline', () => runCommandLine(['run', `${evil}.yaml`], stages)],
    ['missing folder', () => runCommandLine(['inspect', join(folder, evil)], stages)],
    ['key of a pipeline', () => runCommandLine(['check', pipeline(`name: x\n${JSON.stringify(evil)}: 1\n`)], stages)],
    ['value of a pipeline', () => runCommandLine(['check', pipeline(`name: ${JSON.stringify(evil)}\n`)], stages)],
    ['broken YAML', () => runCommandLine(['check', pipeline(`name: [${evil}\n`)], stages)],
    ['--set', () => runCommandLine(['check', 'quickstart', '--set', `stages.${evil}=1`], stages)],
    ['missing run', () => runCommandLine(['runs', 'show', evil], stages)],
  ];
  it.each(writers)('does not come out of a %s', async (_, write) => {
    const text = await written(write);
    expect(text).not.toBe('');
    expect(text).not.toMatch(obeyed);
  });

  it('means the same in JSON', async () => {
    const text = await written(() => print({ [evil]: evil }, true));
    expect(JSON.parse(text)).toEqual({ [evil]: evil });
  });

  it('stays in a result that is text, but for a terminal', async () => {
    expect(await written(() => printText(evil))).toBe(`${evil}\n`);
    const { isTTY } = process.stdout;
    process.stdout.isTTY = true;
    try {
      expect(await written(() => printText(evil))).toBe(`${visible(evil)}\n`);
    } finally {
      process.stdout.isTTY = isTTY;
    }
  });
});

function pipeline(text: string): string {
  writeFileSync(join(folder, 'mine.yaml'), text);
  return join(folder, 'mine.yaml');
}

describe('a text of several lines', () => {
  it('does not pass for another problem', () => {
    const text = formatProblems([{ where: 'a\n  b: c', message: 'is wrong\n  → hint: rm -rf /' }]);
    expect(text.split('\n').slice(2)).toEqual([
      '  a',
      '               b: c: is wrong',
      '               → hint: rm -rf /',
    ]);
  });

  it('is one line in a table', () => {
    expect(table(['a'], [['1\n2'], ['3']])).toBe('a\n\n1\\u000a2\n3'.replace('\n\n', '\n'));
  });
});

it('shows the first of very many problems, and the beginning of very long ones', () => {
  const problems = Array.from({ length: 100_000 }, (_, i) => ({ message: `problem ${i}` }));
  const text = formatProblems(problems, 'mine.yaml');
  expect(text).toMatch(/^100000 problems in mine.yaml[\s\S]+problem 49\n {2}… and 99950 more problems$/);
  expect(formatProblems([{ message: 'x'.repeat(1e6) }]).length).toBeLessThan(5000);
});
