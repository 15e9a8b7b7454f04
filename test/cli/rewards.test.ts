import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mixtune, startMixtune } from '../pipeline/command.ts';

let folder: string;
const questions = Array.from({ length: 4 }, (_, i) => ({ prompt: `How much is ${i} and ${i}?`, answer: `${2 * i}` }));
const reward = `import { count } from './count.ts';
enum Letter { Rewarded = 'e' }
interface Judged { completion: string }
export default (_prompt: string, completion: string, _answer?: string): number => {
  const judged: Judged = { completion };
  return count(judged.completion, Letter.Rewarded);
};
`;

const run = (...args: string[]) => mixtune(folder, ...args);
const ppoFlags = ['ppo', '--from', 'base/final', '--data', 'prompts.jsonl', '--batch-size', '2', '--steps', '1'];
const ppo = (...more: string[]) => run(...ppoFlags, ...more);
/** In a process of its own: in that of a test other code than the program's would compile TypeScript. */
const ppoAlone = (...more: string[]) => startMixtune(folder, ...ppoFlags, ...more).ended;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-rewards-'));
  const lines = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const files = {
    'words.txt': questions
      .map(({ prompt, answer }) => `${prompt} ${answer}.\n`)
      .join('')
      .repeat(20),
    'prompts.jsonl': lines(questions),
    'nothing.jsonl': '',
    'reward.ts': reward,
    'count.ts': 'export const count = (text: string, letter: string): number => text.split(letter).length - 1;',
    'broken.ts': 'export default (\n  prompt: string => 3;',
    'nothing.ts': 'export default (): number => Number.NaN;',
    'schema.json': '{"type": "objekt"}',
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const made = [
    ['tokenizer', '--data', 'words.txt', '--vocab-size', '280', '--out', 'tok'],
    ['pretrain', '--model', '1m', '--tokenizer', 'tok/final', '--data', 'words.txt', '--steps', '1', '--out', 'base'],
  ];
  for (const args of made) {
    const { status, stderr } = await run(...args);
    expect(status, stderr).toBe(0);
  }
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

it('a reward in TypeScript, which imports another file, is compiled and called', async () => {
  const { status, stderr } = await ppoAlone(
    '--reward',
    './reward.ts',
    '--preset',
    'trl',
    '--clip-range',
    '0.1',
    '--sample-every',
    '1',
    '--out',
    'one',
  );
  expect(status, stderr).toBe(0);
  const step = (await readFile(join(folder, 'one/metrics.jsonl'), 'utf8'))
    .split('\n')
    .find((line) => line.includes('"step":1'));
  expect(JSON.parse(step!)).toMatchObject({
    functionReward: expect.any(Number),
    kl: 0,
    clipFraction: expect.any(Number),
  });

  expect(await readFile(join(folder, 'one/log.txt'), 'utf8')).toMatch(
    /sample at step 1: "How much .*" → ".*" \(reward \d+\)/,
  );

  const config = await readFile(join(folder, 'one/config.yaml'), 'utf8');
  expect(config).toContain('lambda: 0.95 # preset trl');
  expect(config).toContain('temperature: 0.7 # preset trl');
  expect(config).toContain('clipRange: 0.1 # --clip-range');
  expect(config).toContain('rewardFunction: ./reward.ts # inferred');
  expect(config).toContain('scoreScale: none # default');
});

it('a run whose reward has changed is another run', async () => {
  const again = ['--verify', 'exact', '--reward', './changing.ts', '--out', 'changing'];
  await writeFile(join(folder, 'changing.ts'), 'export default (): number => 1;');
  expect((await ppoAlone(...again)).status).toBe(0);
  expect((await ppoAlone(...again)).stderr).toContain('nothing to do');
  await writeFile(join(folder, 'changing.ts'), 'export default (): number => 2;');
  expect((await ppoAlone(...again)).stderr).not.toContain('nothing to do');
});

describe('before any work, with status 2 and nothing written', () => {
  const refused = async (args: string[], ...messages: (string | RegExp)[]) => {
    const { status, stdout, stderr } = await (args.includes('./broken.ts') ? ppoAlone : ppo)(...args, '--out', 'out');
    for (const message of messages) expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(existsSync(join(folder, 'out'))).toBe(false);
  };

  it('a reward that does not compile, by its line', () =>
    refused(['--reward', './broken.ts'], /broken\.ts, line 2/, /cannot be loaded/));

  it('a reward that gives no number', () =>
    refused(['--reward', './nothing.ts'], /called with an empty completion: --reward-function, row 1 .*gave NaN/));

  it('no reward at all', () => refused([], 'no source of rewards is given', '--reward'));

  it('no prompts', () => refused(['--verify', 'exact', '--data', 'nothing.jsonl'], /nothing\.jsonl/, /empty|no rows/));

  it('prompts that leave no room', () =>
    refused(
      ['--verify', 'exact', '--max-new-tokens', '4000'],
      /4 of 4 prompts .* up to \d+ tokens and up to 4000 more are generated, but the model.s context is 2048/,
    ));

  it('several things at once', () =>
    refused(
      ['--reward', './nothing.ts', '--json-schema', 'schema.json', '--minibatches', '9', '--critic', 'reward'],
      /4 problems/,
      /--minibatches: 2 responses/,
      /--critic: there is no reward model/,
      /--json-schema: schema is invalid/,
      /--reward-function: called with/,
    ));
});

it('a pipeline is refused for them before its first stage', async () => {
  const lines = [
    'name: late',
    'stages:',
    '  tokenizer: { run: tokenizer, data: words.txt, vocabSize: 280 }',
    '  pretrain: { run: pretrain, tokenizer: tokenizer, data: words.txt, steps: 1 }',
    '  rloo: { run: rloo, from: pretrain, data: prompts.jsonl, rewardFunction: nothing.ts }',
  ];
  await writeFile(join(folder, 'late.yaml'), lines.join('\n'));
  const { status, stderr } = await run('run', 'late.yaml', '--out', 'late');
  expect(stderr).toMatch(/line 5 .*stages\.rloo\.rewardFunction: called with an empty completion/);
  expect(status).toBe(2);
  expect(existsSync(join(folder, 'late'))).toBe(false);
});
