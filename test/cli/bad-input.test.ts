import { chmodSync, existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mixtune } from '../pipeline/command.ts';

/**
 * Every way in which input is known to go wrong: what a person reads, that the status is 2, and that nothing is
 * written.
 */
let folder: string;
const model = 'base/final';

const run = (...args: string[]) => mixtune(folder, ...args);
const at = (...parts: string[]) => join(folder, ...parts);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-bad-'));
  await writeFile(at('words.txt'), 'the cat sat on the mat and the dog sat on the log. '.repeat(40));
  await writeFile(at('alpaca.json'), JSON.stringify([{ instruction: 'Say hi.', input: '', output: 'Hi.' }]));
  await writeFile(at('empty.jsonl'), '');
  await writeFile(
    at('broken.jsonl'),
    '{"instruction":"a","output":"b"}\n{"instruction":"c","output":"d"}\n{"instruction":\n',
  );
  const made = [
    ['tokenizer', '--data', 'words.txt', '--vocab-size', '280', '--out', 'tok'],
    ['tokenizer', '--data', 'words.txt', '--vocab-size', '270', '--out', 'small-tok'],
    [
      'pretrain',
      '--model',
      '1m',
      '--norm',
      'mix',
      '--tokenizer',
      'small-tok',
      '--data',
      'words.txt',
      '--steps',
      '1',
      '--out',
      'base',
    ],
  ];
  for (const args of made) expect((await run(...args)).status, args.join(' ')).toBe(0);
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A copy of the model in which something is changed. */
async function damagedModel(name: string, damage: (directory: string) => Promise<void>): Promise<string> {
  await cp(at(model), at(name), { recursive: true });
  await damage(at(name));
  return name;
}

async function changeConfig(directory: string, change: Record<string, unknown>): Promise<void> {
  const file = join(directory, 'config.json');
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...change }));
}

async function refused(args: string[], ...messages: (string | RegExp)[]): Promise<void> {
  const { status, stdout, stderr } = await run(...args, '--out', 'out');
  for (const message of messages) expect(stderr).toMatch(message);
  expect(status).toBe(2);
  expect(stdout).toBe('');
  expect(existsSync(at('out')), 'nothing is written').toBe(false);
}

describe('a stage refuses', () => {
  const sft = (...more: string[]) => ['sft', '--from', model, '--data', 'alpaca.json', '--steps', '1', ...more];

  it('an unknown key, with the one that was meant', () =>
    refused(sft('--batch-sise', '2'), "unknown option '--batch-sise'", 'did you mean --batch-size?'));

  it('rows that the model cannot take, and names what was typed or could be', async () => {
    // 2,048 tokens are the context of the model; up to there, a row may be as long as it is.
    const rows = (words: number) => JSON.stringify([{ instruction: 'Say it.', output: 'q'.repeat(words) }]);
    await writeFile(at('within.json'), rows(1900));
    await writeFile(at('beyond.json'), rows(2200));
    const stage = (data: string, ...more: string[]) => [
      'sft',
      '--from',
      model,
      '--data',
      data,
      '--steps',
      '1',
      ...more,
    ];
    await refused(stage('beyond.json'), 'longer than 2048 tokens', '--on-too-long drop', '--max-length');
    expect((await run(...stage('within.json'), '--out', 'within')).status).toBe(0);
    await refused(stage('within.json', '--max-length', '64'), 'longer than 64 tokens');
  });

  it('a value of the wrong type', () => refused(sft('--lr', 'fast'), '--lr: found "fast", expected a number'));

  it('a missing file', () => refused(['sft', '--from', model, '--data', 'none.json'], /none\.json/, 'hint'));

  it('an empty dataset', () => refused(['sft', '--from', model, '--data', 'empty.jsonl'], /empty\.jsonl/, /empty/));

  it('a line that is no JSON, by its number', () =>
    refused(['sft', '--from', model, '--data', 'broken.jsonl'], /broken\.jsonl/, /line 3/));

  it('a tokenizer with more tokens than the model', async () => {
    const from = await damagedModel('mismatched', async (directory) => {
      for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
        await copyFile(at('tok/final', name), join(directory, name));
      }
    });
    await refused(
      ['sft', '--from', from, '--data', 'alpaca.json'],
      'the tokenizer has 280 tokens, but the model only 270',
    );
  });

  it('weights that were cut off', async () => {
    const from = await damagedModel('cut', async (directory) => {
      const file = await open(join(directory, 'model.safetensors'), 'r+');
      await file.truncate(5000);
      await file.close();
    });
    await refused(['sft', '--from', from, '--data', 'alpaca.json'], /model\.safetensors/, /damaged|cut/);
  });

  it('weights whose header is hostile', async () => {
    const from = await damagedModel('hostile', async (directory) => {
      const header = Buffer.from('{"a":{"dtype":"F32","shape":[9007199254740991,9],"data_offsets":[0,4]}}');
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(header.length));
      await writeFile(join(directory, 'model.safetensors'), Buffer.concat([length, header, Buffer.alloc(4)]));
    });
    await refused(['sft', '--from', from, '--data', 'alpaca.json'], /model\.safetensors/, /\ba\b/);
  });

  it('a placement that the tensors contradict', async () => {
    const from = await damagedModel('contradiction', (directory) =>
      changeConfig(directory, { norm: 'pre', post_layers: 0 }),
    );
    await refused(['sft', '--from', from, '--data', 'alpaca.json'], 'norm placement', /config\.json says/);
  });

  it('more Post-LN layers than there are layers', () =>
    refused(
      ['pretrain', '--tokenizer', 'tok', '--data', 'words.txt', '--model', '1m', '--norm', 'mix', '--post-layers', '5'],
      '5 Post-LN layers, but the model has 4 layers',
    ));

  it.skipIf(process.getuid?.() === 0)('a folder that cannot be written', async () => {
    await mkdir(at('locked'));
    chmodSync(at('locked'), 0o500);
    const { status, stderr } = await run('sft', '--from', model, '--data', 'alpaca.json', '--out', 'locked/run');
    expect(stderr).toMatch(/cannot be written/);
    expect(status).toBe(2);
  });

  it('a file where the output folder should be', async () => {
    const { status, stderr } = await run('sft', '--from', model, '--data', 'alpaca.json', '--out', 'words.txt/run');
    expect(stderr).toMatch(/words\.txt/);
    expect(status).toBe(2);
  });
});

describe('dpo refuses, all at once and with lines,', () => {
  const lines = (name: string, rows: readonly object[]) =>
    writeFile(at(name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

  it('pairs that do not differ, empty answers, and keys that the loss does not read', async () => {
    await lines('pairs.jsonl', [
      { prompt: 'a', chosen: 'b', rejected: 'c' },
      { prompt: 'a', chosen: 'b', rejected: 'b' },
      { prompt: 'a', chosen: '', rejected: 'c' },
      { prompt: 'a', chosen: 'b', rejected: 'c', score_chosen: 1, score_rejected: 3 },
    ]);
    const args = ['--loss', 'orpo', '--reference', model, '--label-smoothing', '0.1', '--desirable-weight', '2'];
    await refused(
      ['dpo', '--from', model, '--data', 'pairs.jsonl', ...args],
      /6 problems/,
      /--reference: has no effect with the loss orpo\n.*leave it out, or set --loss to dpo, ipo, hinge, kto/,
      /--label-smoothing: has no effect with the loss orpo/,
      /--desirable-weight: has no effect with the loss orpo/,
      /row 2, line 2: `chosen` and `rejected` are the same text/,
      /row 3, `chosen`, line 3: is empty/,
      /row 4, line 4: `chosen` has the lower score, 1 against 3/,
    );
  });

  it('unpaired rows of one kind, and steps of one answer', async () => {
    const liked = { prompt: 'a', completion: 'b', label: true };
    const args = ['dpo', '--from', model, '--data', 'liked.jsonl', '--loss', 'kto', '--batch-size', '1'];
    await lines('liked.jsonl', [liked, { ...liked, completion: '' }]);
    await refused(
      args,
      /2 problems/,
      /--batch-size: `kto` estimates the KL from mismatched answers/,
      /row 2, `completion`, line 2: is empty/,
    );
    await lines('liked.jsonl', [liked, liked]);
    await refused(args, /2 problems/, /`label`: is true in all 2 rows/);
  });

  it('single answers for a loss that compares two', () =>
    lines('single.jsonl', [{ prompt: 'a', completion: 'b', label: true }]).then(() =>
      refused(['dpo', '--from', model, '--data', 'single.jsonl'], /the format is unpaired.*it has no preference rows/),
    ));
});

describe('weights that are not finite', () => {
  const poison = async (directory: string): Promise<void> => {
    const file = await open(join(directory, 'model.safetensors'), 'r+');
    await file.write(Float32Array.of(Number.NaN), 0, 4, (await file.stat()).size - 4);
    await file.close();
  };
  const named =
    /1 problem in \S*nan\S*model\.safetensors[\s\S]*model\S+: holds NaN at element \d+ \(1 of \d+ are not finite\)/;

  it.each([
    ['sft', '--from', 'nan', '--data', 'alpaca.json', '--steps', '1', '--out', 'nan-out'],
    ['generate', 'nan', '--prompt', 'the cat'],
    ['evaluate', 'nan', '--text', 'words.txt'],
  ])('%s names the tensor and the file', async (...args) => {
    await damagedModel('nan', poison);
    const { status, stderr } = await run(...args);
    expect(stderr).toMatch(named);
    expect(status).toBe(2);
  });
});

describe('a pipeline refuses', () => {
  it('all that is wrong with it at once, by line', async () => {
    const lines = [
      'name: wrong',
      'stages:',
      '  tokenizer: { run: tokenizer, data: words.txt, vocabSise: 300 }',
      '  pretrain: { run: pretrain, tokenizer: tokenizer, data: words.txt, steps: many }',
      '  sft: { run: sft, from: dpo, data: none.json }',
      '  dpo: { run: dpo, from: sft, data: empty.jsonl }',
    ];
    await writeFile(at('wrong.yaml'), lines.join('\n'));
    const { status, stderr } = await run('run', 'wrong.yaml', '--out', 'out');
    expect(stderr).toMatch(/line 3 .*vocabSise: unknown key/);
    expect(stderr).toMatch(/did you mean `vocabSize`/);
    expect(stderr).toMatch(/line 4 .*steps: found "many"/);
    expect(stderr).toMatch(/sft → dpo → sft|dpo → sft → dpo/);
    expect(stderr).toMatch(/line 5 .*none\.json/);
    expect(stderr).toMatch(/line 6 .*empty/);
    expect(status).toBe(2);
    expect(existsSync(at('out'))).toBe(false);
  });
});
