import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { rewardModelFrom } from '../../src/checkpoint/reward-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { presetConfig, withPlacement } from '../../src/model/presets.ts';
import { grpoStage } from '../../src/stages/grpo.ts';
import { type PpoConfig, type PpoState, ppoStage } from '../../src/stages/ppo.ts';
import type { ReinforcementState } from '../../src/stages/reinforcement.ts';
import { rlooStage } from '../../src/stages/rloo.ts';
import { pause, type Stage, type StageInput, type StageRun, type StepRecord } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

const questions = Array.from({ length: 7 }, (_, i) => ({ prompt: `How much is ${i} and ${i}?`, answer: `${2 * i}.` }));
const text = questions.map(({ prompt, answer }) => `${prompt} ${answer}\n`).join('');
/** Rewards every letter e: something that any model can learn to write more of. */
const letters = 'export default (prompt, completion) => completion.split("e").length - 1;';
const common = {
  from: 'start',
  data: 'prompts.jsonl',
  rewardFunction: 'letters.js',
  batchSize: 4,
  maxNewTokens: 8,
  missingEosPenalty: 0,
  lr: 1e-3,
};

let directory: string;
let backend: Backend;
let inputs: Record<string, StageInput[]>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mixtune-reinforcement-'));
  ({ backend } = await openBackend({ precision: 'f32' }));
  const tokenizer = trainTokenizer([text], { vocabSize: 300 });
  const start = await directoryOf('start', tokenizer);
  inputs = { from: [start] };
  const scoring = await rewardModelFrom(start.directory, backend, 5);
  await savedModel('reward', scoring, tokenizer);
  await savedModel('other-reward', scoring, trainTokenizer(['quite other words, words of wood'], { vocabSize: 300 }));
  releaseModel(scoring);
  await writeFile(join(directory, 'prompts.jsonl'), questions.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await writeFile(join(directory, 'no-answers.jsonl'), '{"prompt":"How much?","answer":"1"}\n{"prompt":"How many?"}\n');
  await writeFile(join(directory, 'long.jsonl'), `${JSON.stringify({ prompt: 'word '.repeat(2000) })}\n`);
  const mixed = ['short', 'word '.repeat(2000), 'brief'].map((prompt) => `${JSON.stringify({ prompt })}\n`);
  await writeFile(join(directory, 'mixed.jsonl'), mixed.join(''));
  await writeFile(join(directory, 'text.txt'), text);
  await writeFile(join(directory, 'letters.js'), letters);
  await writeFile(join(directory, 'nothing.js'), 'export default () => Number.NaN;');
  await writeFile(join(directory, 'text.js'), 'export default () => "good";');
  await writeFile(join(directory, 'throws.js'), 'export default () => { throw new Error("out of order"); };');
  await writeFile(join(directory, 'no-function.js'), 'export default 3;');
});

afterAll(async () => {
  await backend.dispose();
  await rm(directory, { recursive: true });
});

/** Everything that the state has to hold beside the policy: text, a moving reference and average, moments of scores. */
const more = {
  pretrainData: 'text.txt',
  pretrainLength: 16,
  referenceEvery: 1,
  referenceMix: 0.5,
  averageDecay: 0.9,
  entropyCoefficient: 0.01,
  scoreScale: 'standard',
  scoreClip: 2,
};

const cases: [string, () => Promise<Run>][] = [
  ['ppo', () => opened(ppoStage, { ...common, passes: 2, minibatches: 2, valueLr: 1e-3, klTarget: 1, klHorizon: 20 })],
  [
    'ppo on a shared trunk',
    () => opened(ppoStage, { ...common, ...more, critic: 'shared', passes: 2, minibatches: 2, whitenRewards: true }),
  ],
  ['rloo', () => opened(rlooStage, { ...common, ...more, samplesPerPrompt: 2, minibatches: 3 })],
  [
    'grpo',
    () => opened(grpoStage, { ...common, samplesPerPrompt: 3, minibatches: 2, clipHigher: 0.28, weighting: 'token' }),
  ],
];

describe.each(cases)('%s', (_, open) => {
  test('stopped between iterations and resumed, ends with the bits of an uninterrupted run', async () => {
    const whole = await (await open()).upTo(3);
    const first = await (await open()).upTo(1);
    const second = await (await open()).upTo(3, { from: first.saved });
    expect([...first.records, ...second.records]).toEqual(whole.records);
    expect(second.weights).toEqual(whole.weights);
    expect(whole.weights).not.toEqual(first.weights);
  });

  test('stopped in the middle of an iteration, twice, too', async () => {
    const whole = await (await open()).upTo(3);
    const inFirst = await (await open()).upTo(1, { pauses: 2 });
    const inSecond = await (await open()).upTo(2, { from: inFirst.saved, pauses: 1 });
    const rest = await (await open()).upTo(3, { from: inSecond.saved });
    expect(inFirst.records).toEqual([]);
    expect(inFirst.weights).not.toBe(inSecond.weights);
    expect([...inSecond.records, ...rest.records]).toEqual(whole.records);
    expect(rest.weights).toEqual(whole.weights);
  });

  test('before the first update nothing is clipped, KL is 0, and sampling and training agree', async () => {
    const [record] = (await (await open()).upTo(1)).records;
    expect(record!.kl).toBe(0);
    expect(record!.samplingDistance).toBeLessThan(1e-4);
    expect(record!.entropy).toBeGreaterThan(0);
    expect(record!.responseLength).toBeGreaterThan(1);
    expect(record!.reward).toBe(record!.functionReward);
  });
});

describe('learning', () => {
  test.each([
    ['ppo', ppoStage, { passes: 2, valueLr: 1e-3 }],
    ['rloo', rlooStage, { samplesPerPrompt: 4 }],
    ['grpo', grpoStage, { samplesPerPrompt: 4 }],
  ] as const)('%s writes more of what is rewarded', async (_, stage, options) => {
    const run = await opened(stage as Stage<unknown, ReinforcementState>, {
      ...common,
      ...options,
      batchSize: 16,
      steps: 25,
      klCoefficient: 0,
      lr: 2e-3,
      maxKl: 1000,
    });
    const { records } = await run.upTo(25);
    const meanOf = (from: number, to: number): number =>
      records.slice(from, to).reduce((sum, { reward }) => sum + reward!, 0) / (to - from);
    expect(meanOf(20, 25)).toBeGreaterThan(2 * meanOf(0, 5) + 0.2);
  });
});

describe('what is wrong is said', () => {
  const requests: [string, Record<string, unknown>, string | undefined, string][] = [
    ['no source of rewards', { rewardFunction: undefined }, undefined, 'nothing gives a reward'],
    ['answers that are missing', { data: 'no-answers.jsonl', verify: 'exact' }, undefined, 'row 2: has no answer'],
    ['answers without a number', { verify: 'number', data: 'no-answers.jsonl' }, undefined, 'row 2: has no answer'],
    ['prompts beyond the context', { data: 'long.jsonl' }, undefined, "more than the model's"],
    ['a module without a function', { rewardFunction: 'no-function.js' }, undefined, 'no function as its default'],
    ['a module that is not there', { rewardFunction: 'nowhere.js' }, undefined, 'cannot be loaded'],
    ['a reward model with another tokenizer', {}, 'other-reward', 'another tokenizer'],
    ['a language model as reward model', {}, 'start', 'has no score head'],
    ['more minibatches than responses', { minibatches: 5 }, undefined, 'cannot be cut into 5 minibatches'],
  ];
  test.each(requests)('before anything is started: %s', async (_, options, reward, message) => {
    await expect(opened(ppoStage, { ...common, ...options }, reward)).rejects.toMatchObject({
      name: 'RequestError',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['nothing.js', 'gave null (NaN)'],
    ['text.js', 'gave "good"'],
    ['throws.js', 'out of order'],
  ])('a reward function that fails names the row: %s', async (rewardFunction, message) => {
    const run = await opened(ppoStage, { ...common, rewardFunction });
    await expect(run.upTo(1)).rejects.toMatchObject({
      name: 'RunError',
      message: expect.stringMatching(new RegExp(`row \\d.*${message.replace(/[()]/g, '\\$&')}`)),
    });
  });

  test('a reference that changes', async () => {
    const { config, state, run } = await opened(ppoStage, { ...common, steps: 2 });
    const steps = ppoStage.run(config as PpoConfig, state as PpoState, run);
    await steps.next();
    backend.fill(state.reference.parameters.get('model.norm.weight')!, 1.001);
    await expect(steps.next()).rejects.toThrow('the weights of the reference have changed');
    ppoStage.close!(state as PpoState);
  });

  test('a policy that is not the reference at the start', async () => {
    const run = await opened(ppoStage, common);
    backend.fill(run.state.reference.parameters.get('model.norm.weight')!, 0.5);
    await expect(run.upTo(1)).rejects.toThrow('before the first update the policy is the reference');
  });

  test('a policy that has left the reference', async () => {
    const run = await opened(rlooStage, { ...common, lr: 0.05, maxKl: 0.01 });
    await expect(run.upTo(7)).rejects.toThrow('above maxKl 0.01');
  });
});

describe('reward model and verified answers', () => {
  test('each source has its metric, and the reward is their weighted sum', async () => {
    const options = { ...common, verify: 'number', verifyWeight: 2, rewardWeight: 0.5, rewardFunctionWeight: 3 };
    const [record] = (await (await opened(ppoStage, options, 'reward')).upTo(1)).records;
    const { reward, modelReward, verifiedReward, functionReward } = record!;
    expect(reward).toBeCloseTo(0.5 * modelReward! + 2 * verifiedReward! + 3 * functionReward!, 6);
    expect(modelReward).not.toBe(0);
  });

  test('prompts that are too long may be left out', async () => {
    const run = await opened(ppoStage, { ...common, data: 'mixed.jsonl', onTooLong: 'drop', batchSize: 2 });
    expect(run.state.prompts.map(({ row }) => row)).toEqual([0, 2]);
    const [record] = (await run.upTo(1)).records;
    expect(record!.totalSteps).toBe(3);
  });

  test('held-out prompts are answered greedily', async () => {
    const run = await opened(ppoStage, { ...common, holdOut: 0.3 });
    const metrics = await ppoStage.evaluate!(run.config as PpoConfig, run.state as PpoState, run.run);
    expect(Object.keys(metrics).sort()).toEqual(['endRate', 'functionReward', 'responseLength', 'reward']);
    ppoStage.close!(run.state as PpoState);
  });
});

interface Run {
  config: unknown;
  state: ReinforcementState;
  run: StageRun;
  /** Goes on to the end of an iteration, or so many pauses into it (not the one that is gone on with), from a saved state where one is given. */
  upTo(
    step: number,
    options?: { from?: string; pauses?: number },
  ): Promise<{ records: StepRecord[]; weights: string; saved: string }>;
}

async function opened<Config, State extends ReinforcementState>(
  stage: Stage<Config, State>,
  options: Record<string, unknown>,
  reward?: string,
): Promise<Run> {
  const config = stage.schema.parse({ epochs: 3, ...options, ...(reward ? { reward } : {}) });
  const rewardInput: StageRun['inputs'] = reward
    ? { reward: [{ name: reward, directory: join(directory, reward) }] }
    : {};
  const log = (): void => {};
  const run: StageRun = {
    backend,
    seed: 1,
    directory,
    baseDirectory: directory,
    inputs: { ...inputs, ...rewardInput },
    log,
  };
  const state = await stage.open(config, run);
  return { config, state, run, upTo };

  async function upTo(step: number, { from, pauses = Number.POSITIVE_INFINITY }: Parameters<Run['upTo']>[1] = {}) {
    const present = from ? await stage.open(config, run, from) : state;
    if (from) stage.close!(state);
    const records: StepRecord[] = [];
    try {
      let paused = 0;
      for await (const record of stage.run(config, present, run)) {
        if (record === pause) {
          if (++paused >= pauses && (step === 1 || records.length > 0)) break;
          continue;
        }
        paused = 0;
        const { rolloutTokensPerSecond: _, updateTokensPerSecond: __, ...numbers } = record;
        records.push(numbers);
        if (record.step === step) break;
      }
      const saved = await mkdtemp(join(directory, `state-${step}-`));
      await stage.save!(present, saved);
      return { records, weights: await weightsOf(present.optimizer.model), saved };
    } finally {
      stage.close!(present);
    }
  }
}

async function weightsOf({ parameters }: Model): Promise<string> {
  const hash = createHash('sha256');
  for (const tensor of parameters.values()) hash.update(await backend.read(tensor));
  return hash.digest('hex');
}

async function directoryOf(name: string, tokenizer: Tokenizer): Promise<StageInput> {
  const config = withPlacement({ ...presetConfig('1m'), vocabSize: tokenizer.vocabSize, layers: 2 }, 'mix', 1);
  const model = await initialiseModel(config, backend, 3, { std: 0.05, embeddingStd: 0.05 });
  const input = await savedModel(name, model, tokenizer);
  releaseModel(model);
  return input;
}

async function savedModel(name: string, model: Model, tokenizer: Tokenizer): Promise<StageInput> {
  const path = join(directory, name);
  await mkdir(path);
  await saveModel(path, model, { tokenizer });
  return { name, directory: path };
}
