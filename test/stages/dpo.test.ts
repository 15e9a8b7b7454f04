import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, saveModel } from '../../src/checkpoint/load-model.ts';
import { DataCursor } from '../../src/data/cursor.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { type DpoState, dpoStage } from '../../src/stages/dpo.ts';
import { sftStage } from '../../src/stages/sft.ts';
import { pause, type StageRun, type StepRecord } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { loadTokenizer } from '../../src/tokenizer/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import type { ReferencedPair } from '../../src/training/preference.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';
import type { ReferencedAnswer } from '../../src/training/unpaired.ts';

const things = ['mill', 'well', 'barn', 'pond', 'road', 'gate', 'tree', 'wall'];
const phrasings = ['Where is the', 'Show me the', 'I look for the', 'Who owns the'];
/** The right answer names the thing that is asked for. */
const pairs = phrasings.flatMap((phrasing) =>
  things.flatMap((thing, i) =>
    [1, 3].map((shift) => ({
      prompt: `${phrasing} ${thing}?`,
      chosen: `The ${thing}.`,
      rejected: `The ${things[(i + shift) % 8]}.`,
    })),
  ),
);
const swapped = pairs.map(({ prompt, chosen, rejected }) => ({ prompt, chosen: rejected, rejected: chosen }));

let directory: string;
let backend: Backend;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mixtune-dpo-'));
  ({ backend } = await openBackend({ precision: 'f32' }));
  const text = pairs.map(({ prompt, chosen, rejected }) => `${prompt} ${chosen} ${rejected}\n`).join('');
  const tokenizer = trainTokenizer([text], { vocabSize: 330 });
  const config = withPlacement(
    { ...presetConfig('1m'), hiddenSize: 64, intermediateSize: 128, layers: 2, vocabSize: tokenizer.vocabSize },
    'mix',
    { postLayers: 1 },
  );
  const model = await initialiseModel(config, backend, 3);
  await mkdir(join(directory, 'base'));
  await saveModel(join(directory, 'base'), model, { tokenizer });
  releaseModel(model);
  await writeRows('pairs.jsonl', pairs);
  await writeRows('swapped.jsonl', swapped);
  await writeRows(
    'answers.jsonl',
    pairs.flatMap(({ prompt, chosen, rejected }) => [
      { prompt, completion: chosen, label: true },
      { prompt, completion: rejected, label: false },
    ]),
  );
  await writeRows(
    'conversations.jsonl',
    pairs.map(({ prompt, chosen }) => ({
      messages: [
        { role: 'user', content: prompt },
        { role: 'assistant', content: chosen },
      ],
    })),
  );
  await trainStart();
}, 120_000);

afterAll(async () => {
  await backend.dispose();
  await rm(directory, { recursive: true });
});

const writeRows = (name: string, rows: readonly object[]) =>
  writeFile(join(directory, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));

const at = (name: string) => ({ name, directory: join(directory, name) });

/** `start`: the base model after SFT on the right answers. */
async function trainStart(): Promise<void> {
  const config = sftStage.schema.parse({
    from: 'base',
    data: 'conversations.jsonl',
    steps: 120,
    batchSize: 8,
    lr: 3e-3,
  });
  const run = { backend, seed: 1, directory, baseDirectory: directory, inputs: { from: [at('base')] }, log: () => {} };
  const state = await sftStage.open(config, run);
  for await (const _ of sftStage.run(config, state, run));
  await mkdir(join(directory, 'start'));
  await sftStage.finish(config, state, join(directory, 'start'));
  sftStage.close!(state);
}

async function opened(options: Record<string, unknown>, folder?: string) {
  const config = dpoStage.schema.parse({ from: 'start', data: 'pairs.jsonl', batchSize: 8, lr: 2e-4, ...options });
  const node = folder ?? (await mkdtemp(join(directory, 'node-')));
  const messages: string[] = [];
  const run: StageRun = {
    backend,
    seed: 1,
    directory: node,
    baseDirectory: directory,
    inputs: { from: [at(config.from)], ...(config.reference ? { reference: [at(config.reference)] } : {}) },
    log: (message) => void messages.push(message),
  };
  return { config, run, messages, state: await dpoStage.open(config, run) };
}

/** Runs the stage; `before` may break something in the state first. */
async function trained(options: Record<string, unknown>, before: (state: DpoState) => void | Promise<void> = () => {}) {
  const { config, run, messages, state } = await opened(options);
  try {
    await before(state);
    const records: StepRecord[] = [];
    for await (const record of dpoStage.run(config, state, run)) if (record !== pause) records.push(record);
    const held = await dpoStage.evaluate!(config, state, run);
    return { records, held, warnings: messages.filter((message) => message.startsWith('warning:')) };
  } finally {
    dpoStage.close!(state);
  }
}

describe('KTO', () => {
  const feedback = (count: number, label: boolean, completion: string) =>
    Array.from({ length: count }, (_, i) => ({ prompt: `Where is ${i}?`, completion, label }));

  test('refuses answers of which one label is left after the split', async () => {
    await writeRows('sorted.jsonl', [...feedback(8, true, 'Here.'), ...feedback(2, false, 'There.')]);
    await expect(opened({ loss: 'kto', data: 'sorted.jsonl', holdOut: 0.2 })).rejects.toThrow(
      /all 8 answers left to train on are wanted[\s\S]*shuffle a file that is sorted/,
    );
  });

  test('refuses answers of which one label is left without those that are too long', async () => {
    await writeRows('long.jsonl', [...feedback(3, true, 'The mill. '.repeat(60)), ...feedback(3, false, 'No.')]);
    const options = { loss: 'kto', data: 'long.jsonl', maxLength: 64, onTooLong: 'drop' };
    await expect(opened(options)).rejects.toThrow('all 3 answers left to train on are unwanted');
  });
});

test('samples of SFT answer the last question that has an answer', async () => {
  const [question, answer] = [
    { role: 'user', content: 'Who?' },
    { role: 'assistant', content: 'Me.' },
  ];
  const wrong = { role: 'assistant', content: 'You.', weight: 0 };
  await writeRows('open.jsonl', [
    { messages: [question, answer] },
    { messages: [question, answer, { role: 'user', content: 'Thanks.' }] },
    { messages: [question, answer, question, wrong] },
  ]);
  const config = sftStage.schema.parse({ from: 'base', data: 'open.jsonl', holdOut: 0.6, steps: 1 });
  const log: string[] = [];
  const run = { backend, seed: 1, directory, baseDirectory: directory, inputs: { from: [at('base')] } };
  const state = await sftStage.open(config, { ...run, log: (line) => void log.push(line) });
  expect(state.prompts).toEqual([
    { prompt: [question], answer: 'Me.' },
    { prompt: [question], answer: 'Me.' },
  ]);
  expect(log[0]).toBe('open.jsonl: read as chat, because the first row has `messages`');
  sftStage.close!(state);
});

describe('every loss learns what is preferred', () => {
  test.each([
    { loss: 'dpo' },
    { loss: 'dpo', labelSmoothing: 0.1 },
    { loss: 'dpo', nllWeight: 0.2 },
    { loss: 'ipo' },
    { loss: 'hinge' },
    { loss: 'kto' },
    { loss: 'kto', data: 'answers.jsonl', desirableWeight: 1.2, nllWeight: 0.1 },
    { loss: 'orpo' },
    { loss: 'simpo' },
  ])('%o', async (options) => {
    const { records, held, warnings } = await trained({ ...options, epochs: 4, holdOut: 0.25 });
    const [first, last] = [records[0]!, records.at(-1)!];
    expect(last.loss).toBeLessThan(first.loss!);
    expect(last.margin).toBeGreaterThan(first.margin!);
    expect(held.accuracy).toBeGreaterThan(0.9);
    for (const name of ['chosenReward', 'rejectedReward', 'chosenLogProb', 'rejectedLogProb', 'nll']) {
      expect(last[name], name).toEqual(expect.any(Number));
    }
    expect(warnings.filter((warning) => !warning.includes('less likely'))).toEqual([]);
  });

  test('KTO reads pairs as two answers each', async () => {
    const { state, messages } = await opened({ loss: 'kto' });
    expect(state.data.train).toHaveLength(2 * pairs.length);
    expect(messages.join('\n')).toContain(`${pairs.length} wanted answers, ${pairs.length} others`);
    dpoStage.close!(state);
  });

  test('KTO says where one kind of answers outweighs the other', async () => {
    await writeRows('uneven.jsonl', [
      { prompt: 'a', completion: 'b', label: 1 },
      ...pairs.slice(0, 3).map(({ prompt, rejected }) => ({ prompt, completion: rejected, label: 0 })),
    ]);
    const { state, messages } = await opened({ loss: 'kto', data: 'uneven.jsonl' });
    expect(messages.join('\n')).toMatch(/wanted answers weigh 0\.333 times as much.*undesirableWeight 0\.333/);
    dpoStage.close!(state);
  });

  test.each(['orpo', 'simpo'])('%s computes no reference', async (loss) => {
    const { state, run } = await opened({ loss });
    expect((state.data.train as ReferencedPair[]).every(({ reference }) => reference.chosen === 0)).toBe(true);
    expect(await readdir(run.directory)).toEqual([]);
    dpoStage.close!(state);
  });
});

describe('a broken run is caught:', () => {
  const stale = /before the first update the policy is the reference, but/;

  test('the reference is of other weights', async () => {
    const { model: other } = await loadModel(join(directory, 'base'), backend);
    const run = trained({}, async ({ data }) => {
      const pairs = data.train as ReferencedPair[];
      const logProbs = await logLikelihoods(
        other,
        pairs.map(({ rejected }) => rejected),
      );
      for (const [i, { reference }] of pairs.entries()) reference.rejected = logProbs[i]!;
    });
    await expect(run).rejects.toThrow(stale);
    releaseModel(other);
  });

  test('the reference of a single pair or answer is stale', async () => {
    const firstRow = ({ train }: { train: readonly unknown[] }) => new DataCursor(train.length, 1).next(1)[0]!;
    const pair = trained({}, ({ data }) => {
      (data.train as ReferencedPair[])[firstRow(data)]!.reference.chosen += 0.01;
    });
    await expect(pair).rejects.toThrow(stale);
    const answer = trained({ loss: 'kto' }, ({ data }) => {
      (data.train as ReferencedAnswer[])[firstRow(data)]!.reference -= 0.01;
    });
    await expect(answer).rejects.toThrow(stale);
  });

  test('the reference of KTO changes while the policy is trained', async () => {
    const run = trained({ loss: 'kto', steps: 2 }, async ({ data }) => {
      const norm = (data as Extract<DpoState['data'], { kind: 'answers' }>).reference.parameters.get(
        'model.norm.weight',
      )!;
      const weights = await backend.read(norm);
      backend.write(
        norm,
        weights.map((weight) => weight + 1e-6),
      );
    });
    await expect(run).rejects.toThrow('the weights of the reference have changed');
  });

  test('chosen and rejected are swapped in the data', async () => {
    const right = await trained({ epochs: 2 });
    expect(right.warnings.join()).not.toContain('swapped');
    const { warnings } = await trained({ data: 'swapped.jsonl', epochs: 2 });
    expect(warnings.join()).toMatch(/rejected answer more likely \(per token\) in \d+ of the first 64 pairs.*swapped/);
  });

  test('chosen answers sink together with the others', async () => {
    const options = { data: 'lengthened.jsonl', epochs: 3, lr: 3e-3 };
    await writeRows(
      'lengthened.jsonl',
      pairs.map(({ prompt, chosen }) => ({ prompt, chosen, rejected: `${chosen.slice(0, -1)}!` })),
    );
    const sinking = (warnings: readonly string[]) =>
      warnings.filter((warning) => warning.includes('both answers become unlikely'));
    const { records, warnings } = await trained({ ...options, sinkingSteps: 5 });
    expect(records.slice(-5).every(({ chosenReward }) => chosenReward! < 0)).toBe(true);
    expect(sinking(warnings)).toHaveLength(1);
    expect(sinking((await trained({ ...options, sinkingSteps: 0 })).warnings)).toEqual([]);
  });

  test('the policy never moves', async () => {
    const { warnings } = await trained({ lr: 1e-30, steps: 12 });
    expect(warnings).toEqual([expect.stringContaining('after 10 steps the policy still equals the reference')]);
  });

  test('the reference that is given reads other texts', async () => {
    await copyStart('other-template', 'tokenizer_config.json', (config) => {
      config.chat_template = config.chat_template.replace('<|end|>', '<|end|>\n');
    });
    await expect(opened({ reference: 'other-template' })).rejects.toThrow(
      'the reference has a different chat template',
    );
  });
});

test('another reference than the starting point is what rewards are relative to', async () => {
  const { records } = await trained({ reference: 'base', steps: 1 });
  expect(records[0]!.chosenReward).toBeGreaterThan(0.5);
});

describe('the reference cache', () => {
  const sequencesOf = ({ data }: DpoState) =>
    (data.train as ReferencedPair[]).flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const referencesOf = ({ data }: DpoState): number[] =>
    (data.train as ReferencedPair[]).flatMap(({ reference }) => [reference.chosen, reference.rejected]);

  /**
   * Opens the stage in a node's folder; whether the cache was used, and whether what it gave is what the model gives
   * now.
   */
  async function reopened(node: string, options: { from?: string; data?: string } = {}) {
    const { state, messages } = await opened(options, node);
    const { model } = await loadModel(join(directory, options.from ?? 'start'), backend);
    const now = await logLikelihoods(model, sequencesOf(state));
    const references = referencesOf(state);
    releaseModel(model);
    dpoStage.close!(state);
    const isCached = messages.some((message) => message.includes('cache/reference-'));
    return { isCached, isRight: references.every((value, i) => Math.abs(value - now[i]!) < 1e-4) };
  }

  test.each<[string, { from?: string; data?: string }, () => Promise<void>]>([
    ['weight', { from: 'changed' }, () => copyStart('changed', undefined, undefined, 1.001)],
    [
      'row',
      { data: 'changed.jsonl' },
      () => writeRows('changed.jsonl', [...pairs.slice(1), { ...pairs[0]!, rejected: 'The sea.' }]),
    ],
    [
      'template',
      { from: 'changed' },
      () =>
        copyStart('changed', 'tokenizer_config.json', (config) => {
          config.chat_template =
            "{% for m in messages %}{{ m.role }}: {{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
        }),
    ],
    [
      'tokenizer',
      { from: 'changed' },
      () =>
        copyStart('changed', 'tokenizer.json', (json) => {
          json.model.merges.splice(-5);
        }),
    ],
  ])('is used again, but not after another %s', async (_what, options, change) => {
    const node = await mkdtemp(join(directory, 'node-'));
    expect(await reopened(node)).toEqual({ isCached: false, isRight: true });
    expect(await reopened(node)).toEqual({ isCached: true, isRight: true });
    await change();
    expect(await reopened(node, options)).toEqual({ isCached: false, isRight: true });
    expect(await reopened(node)).toEqual({ isCached: true, isRight: true });
  });

  test('that is cut off is made again', async () => {
    const node = await mkdtemp(join(directory, 'node-'));
    await reopened(node);
    const [file] = await readdir(join(node, 'cache'));
    await writeFile(join(node, 'cache', file!), '[-1.5, -2');
    expect(await reopened(node)).toEqual({ isCached: false, isRight: true });
  });
});

/** A copy of `start` in which a JSON file is changed, or the weights of the last parameter are scaled. */
async function copyStart(
  name: string,
  file?: string,
  // biome-ignore lint/suspicious/noExplicitAny: JSON of files that belong to others
  change?: (json: any) => void,
  scale = 1,
): Promise<void> {
  await rm(join(directory, name), { recursive: true, force: true });
  await cp(join(directory, 'start'), join(directory, name), { recursive: true });
  if (file && change) {
    const json = JSON.parse(await readFile(join(directory, name, file), 'utf8'));
    change(json);
    await writeFile(join(directory, name, file), JSON.stringify(json));
  }
  if (scale === 1) return;
  const { model } = await loadModel(join(directory, 'start'), backend);
  const last = [...model.parameters.values()].at(-1)!;
  backend.write(
    last,
    (await backend.read(last)).map((value) => value * scale),
  );
  await rm(join(directory, name), { recursive: true });
  await mkdir(join(directory, name));
  await saveModel(join(directory, name), model, { tokenizer: await loadTokenizer(join(directory, 'start')) });
  releaseModel(model);
}

test('beta and the weight of the cross-entropy are those that the loss is known with', () => {
  const keysOf = (loss: string, more = {}) =>
    dpoStage.schema.parse({ from: 'start', data: 'pairs.jsonl', loss, ...more });
  const found = ['dpo', 'ipo', 'hinge', 'kto', 'orpo', 'simpo'].map((loss) => [
    keysOf(loss).beta,
    keysOf(loss).nllWeight,
  ]);
  expect(found).toEqual([
    [0.1, 0],
    [0.1, 0],
    [0.1, 0],
    [0.1, 0],
    [0.1, 1],
    [2, 0],
  ]);
  expect(keysOf('simpo', { beta: 3, nllWeight: 0.5 })).toMatchObject({ beta: 3, nllWeight: 0.5 });
});
