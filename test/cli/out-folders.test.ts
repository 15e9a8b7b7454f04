import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { flagName } from '../../src/config/flags.ts';
import { mixtune } from '../pipeline/command.ts';

/** No command removes or renames what it reads or what has been done, whatever folder it is told to write. */
let folder: string;

const run = (...args: string[]) => mixtune(folder, ...args);
const at = (...parts: string[]) => join(folder, ...parts);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-out-'));
  await mkdir(at('texts'));
  await writeFile(at('texts/words.txt'), 'the cat sat on the mat and the dog sat on the log. '.repeat(40));
  const rows = Array.from({ length: 8 }, (_, i) => ({ instruction: `Say ${i}.`, input: '', output: `${i} it is.` }));
  await writeFile(at('alpaca.json'), JSON.stringify(rows));
  const pairs = rows.map((_, i) => JSON.stringify({ prompt: `Say ${i}.`, chosen: `${i} it is.`, rejected: 'no' }));
  await writeFile(at('pairs.jsonl'), pairs.join('\n'));
  await writeFile(at('reward.js'), 'export default (prompt, completion) => completion.length;');
  const machine = ['--backend', 'portable'];
  const made = [
    ['tokenizer', '--data', 'texts', '--vocab-size', '270', '--out', 'tok'],
    [
      'pretrain',
      '--model',
      '1m',
      '--tokenizer',
      'tok',
      '--data',
      'texts',
      '--length',
      '16',
      '--batch-size',
      '1',
      '--out',
      'base',
      '--steps',
    ],
    ['reward', '--from', 'base', '--data', 'pairs.jsonl', '--batch-size', '1', '--out', 'judge', '--steps'],
  ];
  for (const args of made) {
    const { status, stderr } = await run(...args, ...(args.at(-1) === '--steps' ? ['1'] : []), ...machine);
    expect(status, stderr).toBe(0);
  }
  await cp(at('base'), at('outer/base'), { recursive: true });
  await cp(at('alpaca.json'), at('outer/alpaca.json'));
  await cp(at('reward.js'), at('outer/reward.js'));
  symlinkSync(at('base'), at('link'));
  symlinkSync(at('base/final'), at('link-to-final'));
  await mkdir(at('linked'));
  for (const name of readdirSync(at('base/final'))) symlinkSync(at('base/final', name), at('linked', name));
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Names and contents of all that is there. */
function everything(): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
    })
    .sort();
}

const sft = ['sft', '--data', 'alpaca.json', '--steps', '1'];
const ppo = ['ppo', '--from', 'base', '--data', 'pairs.jsonl', '--steps', '1'];
const compare = ['compare', '--tasks', 'perplexity:texts/words.txt', 'winRate:town/prompts'];

describe('a folder to write that is or holds what is read is refused before anything is touched:', () => {
  it.each([
    ['the run that the model is of', [...sft, '--from', 'base/final'], 'base', 'from'],
    ['the same, by its folder', [...sft, '--from', 'base'], 'base', 'from'],
    ['the model itself', [...sft, '--from', 'base/final'], 'base/final', 'from'],
    ['another way to write it', [...sft, '--from', './base/../base/final'], 'outer/../base', 'from'],
    ['a link to it', [...sft, '--from', 'base/final'], 'link', 'from'],
    ['what a link to read leads to', [...sft, '--from', 'link-to-final'], 'base', 'from'],
    ['what the links in a model lead to', [...sft, '--from', 'linked'], 'base', 'from'],
    ['a folder inside the model', [...sft, '--from', 'base'], 'base/final/sft', 'from'],
    ['the folder that all is in', [...sft, '--from', 'base'], '.', 'from'],
    ['data', ['sft', '--from', 'base', '--data', 'outer/alpaca.json', '--steps', '1'], 'outer', 'data'],
    ['a folder of texts', ['tokenizer', '--data', 'texts', '--vocab-size', '270'], 'texts', 'data'],
    ['a folder inside it', ['tokenizer', '--data', 'texts', '--vocab-size', '270'], 'texts/tok', 'data'],
    [
      'a tokenizer',
      ['pretrain', '--tokenizer', 'tok', '--data', 'texts', '--model', '1m', '--steps', '1'],
      'tok',
      'tokenizer',
    ],
    [
      'a reference',
      ['dpo', '--from', 'base', '--reference', 'outer/base', '--data', 'pairs.jsonl'],
      'outer',
      'reference',
    ],
    ['a reward model', [...ppo, '--reward', 'judge'], 'judge', 'reward'],
    ['a reward function', [...ppo, '--reward', 'outer/reward.js'], 'outer', 'rewardFunction'],
    ['a model that is measured', [...compare, '--of', 'base', '--against', 'link'], 'base', 'of'],
    [
      'the one that it is measured against',
      [...compare, '--of', 'base', '--against', 'outer/base'],
      'outer',
      'against',
    ],
    ['a judge', [...compare, '--of', 'base', '--against', 'link', '--judge', 'judge'], 'judge', 'judge'],
    ['a model to export', ['export', 'base'], 'base/final/bf16', 'model'],
  ])('%s', async (_what, args, out, key) => {
    const before = everything();
    const { status, stdout, stderr } = await run(...args, '--out', out);
    expect(stderr).toMatch(
      new RegExp(`--out: .* what is read as (\`${key}\`|--${flagName(key)}): .*\\n.*hint: choose a separate folder`),
    );
    expect([status, stdout]).toEqual([2, '']);
    expect(everything()).toEqual(before);
  });

  it.each([
    ['a model', 'base', 'stages.a.from=base/final'],
    ['what a model is in', '.', 'stages.a.from=base/final'],
    ['data', 'outer', 'stages.a.data=outer/alpaca.json'],
  ])('a pipeline over %s', async (_what, out, set) => {
    const stage = 'from: outer/base/final, data: alpaca.json, steps: 1';
    await writeFile(at('one.yaml'), `name: one\nstages:\n  a: { run: sft, ${stage} }\n`);
    const before = everything();
    for (const command of ['run', 'check']) {
      const { status, stderr } = await run(command, 'one.yaml', '--out', out, '--set', set);
      expect(stderr).toMatch(/--out: .* what is read as `(from|data)`/);
      expect(status).toBe(2);
    }
    expect(everything()).toEqual(before);
  });
});

describe('a folder that holds something else', () => {
  const again = (...more: string[]) => [
    'sft',
    '--from',
    'outer/base',
    '--data',
    'alpaca.json',
    '--out',
    'mine',
    ...more,
  ];

  it('keeps a result, and the settings that differ are named', async () => {
    expect((await run(...again('--steps', '1'))).status).toBe(0);
    const before = everything();
    const { status, stderr } = await run(...again('--steps', '2', '--lr', '1e-5'));
    expect(stderr).toMatch(
      /mine holds the result of a run with other settings \(steps 1 there, 2 here; lr not given there/,
    );
    expect(stderr).toContain('--out mine-2');
    expect(status).toBe(2);
    expect(everything()).toEqual(before);
    expect((await run(...again('--steps', '1'))).stderr).toContain('nothing to do');
  });

  it('keeps a result that was changed since', async () => {
    const file = at('mine/final/generation_config.json');
    const written = await readFile(file, 'utf8');
    await writeFile(file, `${written} `);
    const before = everything();
    const { status, stderr } = await run(...again('--steps', '1'));
    expect(stderr).toContain('mine holds this run, but files of its result have changed since');
    expect(status).toBe(2);
    expect(everything()).toEqual(before);
    await writeFile(file, written);
  });

  it("keeps a person's own files", async () => {
    await mkdir(at('own/notes'), { recursive: true });
    await writeFile(at('own/notes/today.md'), 'mine');
    await mkdir(at('empty'));
    const before = everything();
    for (const command of [sft.concat('--from', 'base'), ['run', 'quickstart']]) {
      const { status, stderr } = await run(...command, '--out', 'own');
      expect(stderr).toMatch(
        /own (exists, and contains something other than a run|exists, but is not the folder of a pipeline)/,
      );
      expect(status).toBe(2);
    }
    expect(everything()).toEqual(before);
    expect((await run(...sft, '--from', 'base', '--out', 'empty')).status).toBe(0);
    expect(existsSync(at('empty/final/config.json'))).toBe(true);
  });

  it('is taken where a request before was refused and nothing was done', async () => {
    await mkdir(at('tried'));
    const refused = await run('sft', '--from', 'base', '--data', 'alpaca.json', '--max-length', '4', '--out', 'tried');
    expect(refused.status).toBe(2);
    const { status, stderr } = await run(...sft, '--from', 'base', '--out', 'tried');
    expect(status, stderr).toBe(0);
  });
});
