import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { dpoStage } from '../../src/stages/dpo.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import { rewardStage } from '../../src/stages/reward.ts';
import { sftStage } from '../../src/stages/sft.ts';
import { pause, type Stage, type StageInput, type StageRun, type StepRecord } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import type { Budget } from '../../src/training/budget.ts';
import type { TrainingState } from '../../src/training/state.ts';

const questions = Array.from({ length: 11 }, (_, i) => ({
  question: `How much is ${i} and ${i}?`,
  answer: `${2 * i}.`,
}));
const steps = 5;
/** Five updates of two micro-batches of two rows: 20 rows, so that the second epoch of 11 begins inside the run. */
const training = { steps, batchSize: 2, accumulate: 2, lr: 1e-3, warmup: 2 };

let directory: string;
let backend: Backend;
let inputs: Record<string, StageInput[]>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mixtune-resume-'));
  ({ backend } = await openBackend());
  const text = questions.map(({ question, answer }) => `${question} ${answer}\n`).join('');
  const tokenizer = trainTokenizer([text], { vocabSize: 300 });
  const model = await initialiseModel(
    withPlacement({ ...presetConfig('1m'), vocabSize: tokenizer.vocabSize }, 'mix', { postLayers: 1 }),
    backend,
    3,
  );
  const start = join(directory, 'start');
  await mkdir(start);
  await saveModel(start, model, { tokenizer });
  releaseModel(model);
  const input = [{ name: start, directory: start }];
  inputs = { from: input, tokenizer: input };

  const lines = (rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  await writeFile(join(directory, 'text.txt'), text);
  await writeFile(
    join(directory, 'messages.jsonl'),
    lines(questions.map(({ question, answer }) => ({ messages: turns(question, answer) }))),
  );
  await writeFile(
    join(directory, 'pairs.jsonl'),
    lines(questions.map(({ question, answer }) => ({ prompt: question, chosen: answer, rejected: 'I do not know.' }))),
  );
});

afterAll(async () => {
  await backend.dispose();
  await rm(directory, { recursive: true });
});

describe('stopped twice and resumed, a stage ends with the bits of an uninterrupted run', () => {
  test('pretrain', async () => {
    const config = {
      tokenizer: 'start',
      data: 'text.txt',
      model: '1m',
      norm: 'mix',
      length: 16,
      ...training,
      recordGradients: 2,
    };
    await expectSameBits(pretrainStage, pretrainStage.schema.parse(config));
  });

  test('sft', async () => {
    await expectSameBits(sftStage, sftStage.schema.parse({ from: 'start', data: 'messages.jsonl', ...training }));
  });

  test('reward', async () => {
    await expectSameBits(rewardStage, rewardStage.schema.parse({ from: 'start', data: 'pairs.jsonl', ...training }));
  });

  test.each(['dpo', 'kto', 'simpo'])('dpo with the loss %s', async (loss) => {
    await expectSameBits(dpoStage, dpoStage.schema.parse({ from: 'start', data: 'pairs.jsonl', loss, ...training }));
  });
});

test('a saved state is read by a schema: what is no place in the data is named with its file', async () => {
  const config = sftStage.schema.parse({ from: 'start', data: 'messages.jsonl', ...training });
  const { saved } = await runOf(sftStage, config, 1);
  const file = join(saved, 'state.json');
  const { step, cursor } = JSON.parse(await readFile(file, 'utf8'));
  const broken: [unknown, string][] = [
    [{ step: -1, cursor }, '`step`: found -1'],
    [{ step: 0.5, cursor }, '`step`: found 0.5'],
    [{ step: '1', cursor }, '`step`: found "1"'],
    [{ cursor }, '`step`: is missing'],
    [{ step }, '`cursor`: is missing'],
    [{ step, cursor: { ...cursor, position: cursor.rows + 1 } }, '`cursor`: the position is after the last row'],
    [{ step, cursor: { ...cursor, position: -4 } }, '`cursor.position`: found -4'],
    [{ step, cursor: { ...cursor, epoch: null } }, '`cursor.epoch`: found nothing'],
    [{ step, cursor: { ...cursor, rows: cursor.rows + 1 } }, 'but the data has'],
    [[], 'expected'],
  ];
  for (const [content, reason] of broken) {
    await writeFile(file, JSON.stringify(content));
    await expect(runOf(sftStage, config, 2, saved)).rejects.toThrow(reason);
  }
  await writeFile(file, '{"step": 1');
  await expect(runOf(sftStage, config, 2, saved)).rejects.toThrow(`${file}: is no JSON`);
});

test('a state that an older version saved goes on without a budget, which it has not counted from the beginning', async () => {
  const config = sftStage.schema.parse({ from: 'start', data: 'messages.jsonl', ...training });
  const { saved } = await runOf(sftStage, config, 1);
  const file = join(saved, 'state.json');
  const { budget, ...older } = JSON.parse(await readFile(file, 'utf8'));
  expect(budget.tokens).toBeGreaterThan(0);
  await writeFile(file, JSON.stringify(older));
  expect((await runOf(sftStage, config, 2, saved)).budget).toBeUndefined();
});

async function expectSameBits<Config, State extends TrainingState, Result extends Record<string, unknown>>(
  stage: Stage<Config, State, Result>,
  config: Config,
): Promise<void> {
  const whole = await runOf(stage, config, steps);
  const records: StepRecord[] = [];
  let saved: string | undefined;
  let end: Awaited<ReturnType<typeof runOf>> | undefined;
  for (const stopAt of [1, 3, steps]) {
    end = await runOf(stage, config, stopAt, saved);
    records.push(...end.records);
    saved = end.saved;
  }
  expect(records).toEqual(whole.records);
  expect(end?.tensors).toEqual(whole.tensors);
  expect(end?.budget).toEqual(whole.budget);
  expect(whole.budget?.tokens).toBeGreaterThan(0);
}

/** Runs the stage, from the start or a saved state, up to update `stopAt`, and saves it there. */
async function runOf<Config, State extends TrainingState, Result extends Record<string, unknown>>(
  stage: Stage<Config, State, Result>,
  config: Config,
  stopAt: number,
  from?: string,
): Promise<{ records: StepRecord[]; tensors: Map<string, string>; saved: string; budget: Budget | undefined }> {
  const node = join(directory, stage.name);
  await mkdir(node, { recursive: true });
  const run: StageRun = { backend, seed: 1, directory: node, baseDirectory: directory, inputs, log: () => {} };
  const state = await stage.open(config, run, from);
  const records: StepRecord[] = [];
  for await (const record of stage.run(config, state, run)) {
    if (record === pause) continue;
    records.push(record);
    if (record.step === stopAt) break;
  }
  const saved = await mkdtemp(join(node, `state-${stopAt}-`));
  await stage.save!(state, saved);
  const tensors = await tensorsOf(state);
  stage.close!(state);
  return { records, tensors, saved, budget: stage.budget!(state) };
}

/** SHA-256 of each weight and moment. */
async function tensorsOf({ optimizer }: TrainingState): Promise<Map<string, string>> {
  const tensors = new Map<string, string>();
  for (const [kind, values] of Object.entries({
    weight: optimizer.model.parameters,
    first: optimizer.firstMoments,
    second: optimizer.secondMoments,
  })) {
    for (const [name, tensor] of values) {
      const bytes = await backend.read(tensor);
      tensors.set(`${kind} ${name}`, createHash('sha256').update(bytes).digest('hex'));
    }
  }
  return tensors;
}

function turns(question: string, answer: string) {
  return [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ];
}
