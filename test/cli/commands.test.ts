import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mixtune, records, startMixtune, untilStep } from '../pipeline/command.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-cli-'));
  await writeFile(join(folder, 'words.txt'), 'the cat sat on the mat and the dog sat on the log. '.repeat(40));
  const rows = Array.from({ length: 8 }, (_, i) => ({ instruction: `Say ${i}.`, input: '', output: `${i} it is.` }));
  await writeFile(join(folder, 'alpaca.json'), JSON.stringify(rows));
  const pairs = rows.map((_, i) => JSON.stringify({ prompt: `Say ${i}.`, chosen: `${i} it is.`, rejected: 'no' }));
  await writeFile(join(folder, 'pairs.jsonl'), pairs.join('\n'));
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

const run = (...args: string[]) => mixtune(folder, ...args);

/** The JSON document of a command that must succeed. */
async function json(...args: string[]) {
  const { status, stdout, stderr } = await run(...args, '--json');
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

describe('a model from flags alone', () => {
  const shape = ['--model', '1m', '--norm', 'mix', '--length', '16', '--batch-size', '2', '--precision', 'f32'];

  it('goes through every stage, each in a folder of its own', async () => {
    const tokenizer = await json('tokenizer', '--data', 'words.txt', '--vocabSize', '280', '--out', 'tok');
    expect(tokenizer).toMatchObject({ status: 'done', final: join(folder, 'tok/final') });
    const pretrain = [
      'pretrain',
      ...shape,
      '--tokenizer',
      'tok',
      '--data',
      'words.txt',
      '--steps',
      '3',
      '--out',
      'base',
    ];
    expect(await json(...pretrain)).toMatchObject({ status: 'done', step: 3 });
    const sft = [
      'sft',
      '--from',
      'base',
      '--data',
      'alpaca.json',
      '--steps',
      '2',
      '--out',
      'sft',
      '--precision',
      'f32',
    ];
    expect(await json(...sft)).toMatchObject({ status: 'done', step: 2 });
    const dpo = ['dpo', '--from', 'sft/final', '--data', 'pairs.jsonl', '--steps', '2', '--out', 'dpo'];
    expect(await json(...dpo)).toMatchObject({ status: 'done', step: 2 });
    expect((await records(join(folder, 'dpo')))[1]!.loss).toBeCloseTo(Math.log(2), 4);
    expect(await readFile(join(folder, 'base/config.yaml'), 'utf8')).toMatch(
      /norm: mix # --norm\n[\s\S]*lr: 0\.001 # default/,
    );
  });

  it('is not trained twice by the same command', async () => {
    const again = [
      'sft',
      '--from',
      'base',
      '--data',
      'alpaca.json',
      '--steps',
      '2',
      '--out',
      'sft',
      '--precision',
      'f32',
    ];
    const { status, stderr } = await run(...again);
    expect(status).toBe(0);
    expect(stderr).toContain('sft already has the finished result of exactly this');
  });

  it('is measured', async () => {
    const text = ['--tasks', 'perplexity', '--text', 'words.txt', '--window', '16', '--precision', 'f32'];
    const measured = await json('evaluate', 'base', ...text);
    expect(Object.keys(measured).sort()).toEqual([
      'bitsPerByte',
      'bytePerplexity',
      'loss',
      'perplexity',
      'tokens',
      'wordPerplexity',
    ]);
    expect(measured.perplexity).toBeCloseTo(Math.exp(measured.loss), 6);
    const first = await json('evaluate', 'base', ...text, '--windows', '2');
    expect(first.tokens).toBe(32);
    expect(measured.tokens).toBeGreaterThan(first.tokens);
  });

  it('speaks, and says the same when it is greedy', async () => {
    const say = ['generate', 'sft', '--message', 'Say 3.', '--max-new-tokens', '5', '--greedy', '--precision', 'f32'];
    const first = await json(...say);
    expect(first).toEqual({ text: expect.any(String), tokens: expect.any(Array) });
    expect(await json(...say)).toEqual(first);
    expect(
      (await json('generate', 'base', '--prompt', 'the cat', '--max-new-tokens', '3', '--greedy')).tokens.length,
    ).toBeLessThanOrEqual(3);
  });

  it('is inspected and exported', async () => {
    const inspected = await json('inspect', 'base');
    expect(inspected).toMatchObject({ modelType: 'mixln', placement: { norm: 'mix', postLayers: 1 } });
    expect(inspected.tensors.find(({ name }: { name: string }) => name === 'model.norm.weight')).toEqual({
      name: 'model.norm.weight',
      dtype: 'F32',
      shape: [128],
    });
    await json('export', 'base', '--out', 'exported', '--dtype', 'bf16');
    const exported = await json('inspect', 'exported');
    expect(exported.parameters).toBe(inspected.parameters);
    expect(new Set(exported.tensors.map(({ dtype }: { dtype: string }) => dtype))).toEqual(new Set(['BF16']));
    expect((await json('inspect', 'exported/model.safetensors')).metadata).toMatchObject({ format: 'pt', norm: 'mix' });
    expect((await run('export', 'base', '--out', 'exported')).stderr).toContain('exported exists and is not empty');
  });

  it('is timed in training and generation, like a preset', async () => {
    const speed = { tokensPerSecond: expect.any(Number), peakRssBytes: expect.any(Number) };
    const train = await json('bench', 'train', 'base', '--batch', '2', '--length', '8', '--steps', '2', '--profile');
    expect(train).toMatchObject({ ...speed, model: 'base', gflops: expect.any(Number), gemmShare: expect.any(Number) });
    expect(train.stepSeconds).toHaveLength(2);
    const shares = train.operations.map(({ share }: { share: number }) => share);
    expect(shares.reduce((sum: number, share: number) => sum + share, 0)).toBeCloseTo(1, 6);
    const generate = ['bench', 'generate', '--preset', '1m', '--batch', '2', '--prompt-tokens', '4', '--rounds', '1'];
    expect(await json(...generate, '--new-tokens', '3')).toMatchObject({
      ...speed,
      prefillTokensPerSecond: expect.any(Number),
      decodeTokensPerSecond: expect.any(Number),
    });
  });

  it('is found among the runs', async () => {
    const runs = await json('runs', 'list', '.');
    expect(runs.map(({ name, status }: { name: string; status: string }) => `${name} ${status}`)).toEqual([
      'base finished',
      'dpo finished',
      'sft finished',
      'tok finished',
    ]);
    expect(await json('runs', 'show', 'base')).toMatchObject({ run: 'pretrain', step: 3, config: { norm: 'mix' } });
    const { config } = await json('runs', 'diff', 'sft', 'dpo');
    expect(config).toContainEqual({ name: 'data', values: ['alpaca.json', 'pairs.jsonl'] });
  });

  it('stops at a signal and goes on with the same command', async () => {
    const long = ['pretrain', ...shape, '--tokenizer', 'tok', '--data', 'words.txt', '--steps', '60', '--out', 'long'];
    const running = startMixtune(folder, ...long);
    await untilStep(join(folder, 'long'), 3);
    running.child.kill('SIGINT');
    const stopped = await running.ended;
    expect(stopped.status).toBe(130);
    expect(stopped.stderr).toContain(`to continue: mixtune ${long.join(' ')}`);
    expect((await run(...long)).status).toBe(0);
    const steps = (await records(join(folder, 'long'))).filter(({ type }) => type === 'step').map(({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });
});

describe('a wrong request', () => {
  it.each([
    [['sft', '--form', 'x'], "unknown option '--form'", 'did you mean --from?'],
    [['stf'], "unknown command 'stf'", 'did you mean `sft`?'],
    [['sft'], '2 problems in mixtune sft', '--data: is missing'],
    [
      ['sft', '--from', 'none', '--data', 'none.json', '--lr', 'fast'],
      '3 problems',
      '--lr: found "fast", expected a number',
    ],
    [
      ['pretrain', '--model', '2m', '--tokenizer', '.', '--data', 'words.txt'],
      '--model: found "2m"',
      'did you mean `1m`',
    ],
    [['evaluate', 'none', '--tasks', 'loss:no.jsonl'], 'none does not exist', '--tasks: no.jsonl'],
    [['evaluate'], '--from: is missing', 'hint'],
    [['evaluate', '.', '--tasks', 'perplxity'], '`perplxity` is no task', 'hint'],
    [['generate', 'none'], 'none does not exist', 'hint'],
    [['inspect', 'words.txt'], 'words.txt', 'nothing was started'],
    [['run', 'quickstrt'], 'there is no such pipeline', 'did you mean `quickstart`?'],
    [['run', 'quickstart', '--jobs', '0'], '--jobs', 'at least 1'],
    [['runs', 'show', '.'], 'holds no run', 'hint'],
    [['bench', 'train', '--preset', 'huge'], "'huge' is invalid", '71m'],
    [['bench', 'train', 'words.txt', '--preset', '1m'], 'words.txt and --preset 1m were both given', 'leave one out'],
    [['bench', 'generate', 'none'], 'none does not exist', 'hint'],
  ])('%j is refused with status 2 and a hint', async (args, message, hint) => {
    const { status, stdout, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect(status).toBe(2);
    expect(stdout).toBe('');
  });

  it('writes nothing', async () => {
    await run('sft', '--from', 'none', '--data', 'alpaca.json', '--out', 'refused');
    expect(existsSync(join(folder, 'refused'))).toBe(false);
  });
});

it('checks a pipeline and its data without writing anything', async () => {
  const found = await json('check', 'quickstart');
  expect(found.nodes[0]).toMatchObject({ id: 'tokenizer/shared/seed-1', status: 'new' });
  expect(found.datasets).toContainEqual({
    source: 'town/text',
    use: 'text',
    rows: expect.any(Number),
    reading: { unreadColumns: [], skippedFiles: [], remarks: [] },
  });
  expect(existsSync(join(folder, 'checkpoints'))).toBe(false);
  await writeFile(join(folder, 'empty.jsonl'), '');
  await writeFile(join(folder, 'broken.jsonl'), '{"instruction":"a","output":"b"}\n{"instruction":\n');
  const bad = ['stages.pretrain.data=empty.jsonl', 'stages.sft.data=broken.jsonl', 'stages.dpo.data=missing.jsonl'];
  const { status, stderr } = await run('check', 'quickstart', ...bad.flatMap((assignment) => ['--set', assignment]));
  expect(status).toBe(2);
  expect(stderr).toContain('--set stages.pretrain.data: empty.jsonl');
  expect(stderr).toMatch(/--set stages\.sft\.data: .*broken\.jsonl.*line 2/);
  expect(stderr).toContain('--set stages.dpo.data: missing.jsonl');
});

it('shows what there is with --help, and its version', async () => {
  const help = await run('--help');
  expect(help.status).toBe(0);
  for (const command of [
    'run',
    'check',
    'pretrain',
    'sft',
    'dpo',
    'evaluate',
    'generate',
    'inspect',
    'export',
    'runs',
    'bench',
    'doctor',
  ]) {
    expect(help.stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
  }
  expect((await run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(await json('doctor')).toMatchObject({
    cores: expect.any(Number),
    auto: expect.stringMatching(/native|portable/),
  });
});
