import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel, saveModel } from '../../src/checkpoint/load-model.ts';
import { rewardModelFrom } from '../../src/checkpoint/reward-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { ppoPresets } from '../../src/reinforcement/ppo-presets.ts';
import { type ReinforcementState, resultOf } from '../../src/reinforcement/state.ts';
import { grpoSchema, grpoStage } from '../../src/stages/grpo.ts';
import { type PpoState, ppoStage } from '../../src/stages/ppo.ts';
import { type PpoConfig, ppoSchema } from '../../src/stages/ppo-schema.ts';
import { type RlooConfig, rlooStage } from '../../src/stages/rloo.ts';
import { pause, type Stage, type StageInput, type StageRun, type StepRecord } from '../../src/stages/stage.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import type { Budget } from '../../src/training/budget.ts';
import { rewardScores } from '../../src/training/reward.ts';
import { thorough } from '../thorough.ts';

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
  await savedModel('reward', scoring, tokenizer, 1.5);
  await savedModel('other-reward', scoring, trainTokenizer(['quite other words, words of wood'], { vocabSize: 300 }));
  releaseModel(scoring);
  await writeFile(join(directory, 'prompts.jsonl'), questions.map((row) => `${JSON.stringify(row)}\n`).join(''));
  await writeFile(join(directory, 'no-answers.jsonl'), '{"prompt":"How much?","answer":"1"}\n{"prompt":"How many?"}\n');
  await writeFile(join(directory, 'empty.jsonl'), '');
  // The judge likes what the reward dislikes: responses without an e.
  const judged = questions.map(({ prompt }) => `${JSON.stringify({ prompt, answer: '^[^e]*$' })}\n`);
  await writeFile(join(directory, 'judged.jsonl'), judged.join(''));
  await writeFile(join(directory, 'long.jsonl'), `${JSON.stringify({ prompt: 'word '.repeat(2000) })}\n`);
  const mixed = ['short', 'word '.repeat(2000), 'brief'].map((prompt) => `${JSON.stringify({ prompt })}\n`);
  await writeFile(join(directory, 'mixed.jsonl'), mixed.join(''));
  await writeFile(join(directory, 'text.txt'), text);
  await writeFile(join(directory, 'letters.js'), letters);
  const functions: Record<string, string> = {
    'nothing.js': 'export default () => Number.NaN;',
    'text.js': 'export default () => "good";',
    'throws.js': 'export default () => { throw new Error("out of order"); };',
    'later-nothing.js': 'export default (_, text) => (text === "" ? 0 : Number.NaN);',
    'later-text.js': 'export default async (_, text) => (text === "" ? 0 : "good");',
    'later-throws.js': 'export default (_, text) => { if (text !== "") throw new Error("out of order"); return 0; };',
    'too-many.js': 'export const rewards = () => [1, 2, 3];',
    'too-few.js': 'export const rewards = (responses) => responses.slice(0, 1).map(() => 1);',
    'one-nothing.js': 'export const rewards = (responses) => responses.map((_, i) => (i === 2 ? undefined : 1));',
    'no-list.js': 'export const rewards = () => 1;',
    'one.js': 'export default () => 1;',
    'no-function.js': 'export default 3;',
    'flaky.js': `${letters.replace('=>', '=> { if (globalThis.mixtuneJudgeIsDown) throw new Error("judge is down"); return').replace(/;$/, '}')}`,
    'letters.ts': `import { count } from './count.ts';
enum Letter { Rewarded = 'e' }
export default (_prompt: string, completion: string): number => count(completion, Letter.Rewarded);`,
    'count.ts': 'export const count = (text: string, letter: string): number => text.split(letter).length - 1;',
    'broken.ts': 'export default (prompt: string => 3;',
    'short.json': JSON.stringify({ type: 'object', required: ['answer'], properties: { answer: { type: 'number' } } }),
    'wrong.json': '{"type": "numbre"}',
  };
  for (const [name, content] of Object.entries(functions)) await writeFile(join(directory, name), content);
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
  let whole: Awaited<ReturnType<Run['upTo']>>;
  beforeAll(async () => {
    whole = await (await open()).upTo(3);
  });

  test('stopped between iterations and resumed, ends with the bits of an uninterrupted run', async () => {
    const first = await (await open()).upTo(1);
    const second = await (await open()).upTo(3, { from: first.saved });
    expect([...first.records, ...second.records]).toEqual(whole.records);
    expect(second.weights).toEqual(whole.weights);
    expect(second.budget).toEqual(whole.budget);
    expect(whole.budget.prompts).toBe(3 * 4);
    expect(whole.weights).not.toEqual(first.weights);
  });

  test('stopped in the middle of an iteration, twice, too', async () => {
    const inFirst = await (await open()).upTo(1, { pauses: 2 });
    const inSecond = await (await open()).upTo(2, { from: inFirst.saved, pauses: 1 });
    const rest = await (await open()).upTo(3, { from: inSecond.saved });
    expect(inFirst.records).toEqual([]);
    expect(inFirst.weights).not.toBe(inSecond.weights);
    expect([...inSecond.records, ...rest.records]).toEqual(whole.records);
    expect(rest.weights).toEqual(whole.weights);
    expect(rest.budget).toEqual(whole.budget);
  });

  test('before the first update nothing is clipped, KL is 0, and sampling and training agree', async () => {
    const [record] = whole.records;
    expect(record!.kl).toBe(0);
    expect(record!.samplingDistance).toBeLessThan(1e-4);
    expect(record!.entropy).toBeGreaterThan(0);
    expect(record!.responseLength).toBeGreaterThan(1);
    expect(record!.reward).toBe(record!.functionReward);
  });
});

describe('learning', () => {
  const learners = [
    ['ppo', ppoStage, { passes: 2, valueLr: 1e-3 }],
    ['rloo', rlooStage, { samplesPerPrompt: 4 }],
    ['grpo', grpoStage, { samplesPerPrompt: 4 }],
  ] as const;
  test.each(thorough ? learners : learners.slice(0, 1))(
    '%s writes more of what is rewarded',
    async (_, stage, options) => {
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
    },
  );
});

describe('what is wrong is said', () => {
  const requests: [string, Record<string, unknown>, string | undefined, string][] = [
    ['no source of rewards', { rewardFunction: undefined }, undefined, 'no source of rewards is given'],
    ['answers that are missing', { data: 'no-answers.jsonl', verify: 'exact' }, undefined, 'row 2: has no answer'],
    ['answers without a number', { verify: 'number', data: 'no-answers.jsonl' }, undefined, 'row 2: has no answer'],
    ['prompts beyond the context', { data: 'long.jsonl' }, undefined, "but the model's context is"],
    ['a module without a function', { rewardFunction: 'no-function.js' }, undefined, 'no function as its default'],
    ['a schema that is none', { jsonSchema: 'wrong.json' }, undefined, 'jsonSchema: schema is invalid'],
    ['weights that are all 0', { rewardFunctionWeight: 0 }, undefined, 'every source of rewards has weight 0'],
    ['a critic from no reward model', { critic: 'reward' }, undefined, 'there is no reward model to start from'],
    [
      'windows beyond the context',
      { pretrainData: 'text.txt', pretrainLength: 4096 },
      undefined,
      "but the model's context is",
    ],
    ['no prompts at all', { data: 'empty.jsonl' }, undefined, 'empty'],
    ['a module that is not there', { rewardFunction: 'nowhere.js' }, undefined, 'cannot be read'],
    ['a reward model with another tokenizer', {}, 'other-reward', 'a different tokenizer'],
    ['a language model as reward model', {}, 'start', 'has no score head'],
    ['more minibatches than responses', { minibatches: 5 }, undefined, 'cannot be split into 5 minibatches'],
  ];
  test.each(requests)('before anything is started: %s', async (_, options, reward, message) => {
    await expect(opened(ppoStage, { ...common, ...options }, reward)).rejects.toMatchObject({
      name: 'RequestError',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['nothing.js', 'gave NaN'],
    ['text.js', 'gave "good"'],
    ['throws.js', 'out of order'],
    ['too-many.js', 'gave 3 rewards'],
    ['no-list.js', 'gave 1, not a list of numbers'],
    ['broken.ts', 'cannot be loaded'],
  ])('before anything is started, of a reward function that always fails: %s', async (rewardFunction, message) => {
    await expect(opened(ppoStage, { ...common, rewardFunction })).rejects.toMatchObject({
      name: 'RequestError',
      message: expect.stringContaining(message),
    });
  });

  test.each([
    ['later-nothing.js', /row \d.*gave NaN/],
    ['later-text.js', /row \d.*gave "good"/],
    ['later-throws.js', /row \d.*out of order/],
    ['too-few.js', /4 responses, the first to row \d.*gave 1 rewards/],
    ['one-nothing.js', /row \d.*gave undefined/],
  ])('a reward function that fails later names the row: %s', async (rewardFunction, message) => {
    const run = await opened(ppoStage, { ...common, rewardFunction });
    await expect(run.upTo(1)).rejects.toMatchObject({
      name: 'RunError',
      message: expect.stringMatching(message),
      stateIsWhole: true,
    });
  });

  test('nothing is lost by a reward function that fails: the state is that of before the step', async () => {
    const options = { ...common, rewardFunction: 'flaky.js', passes: 2 };
    const whole = await (await opened(ppoStage, options)).upTo(3);
    const { config, state, run } = await opened(ppoStage, options);
    const saved = await mkdtemp(join(directory, 'failed-'));
    await expect(async () => {
      for await (const record of ppoStage.run(config as PpoConfig, state as PpoState, run)) {
        Object.assign(globalThis, { mixtuneJudgeIsDown: record !== pause && record.step === 1 });
      }
    }).rejects.toThrow(/row \d.*judge is down/);
    await ppoStage.save!(state as PpoState, saved);
    ppoStage.close!(state as PpoState);
    Object.assign(globalThis, { mixtuneJudgeIsDown: false });
    const rest = await (await opened(ppoStage, options)).upTo(3, { from: saved });
    expect(rest.records).toEqual(whole.records.slice(1));
    expect(rest.weights).toBe(whole.weights);
  });

  test('a reference that changes', async () => {
    const { config, state, run } = await opened(ppoStage, { ...common, steps: 2 });
    const steps = ppoStage.run(config as PpoConfig, state as PpoState, run);
    for (let record = await steps.next(); record.value === pause; record = await steps.next());
    backend.fill(state.reference.parameters.get('model.norm.weight')!, 1.001);
    await expect(async () => {
      for await (const _ of steps);
    }).rejects.toThrow('the weights of the reference have changed');
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

// What the warnings look at is tested in test/training/rollout-checks.test.ts.
describe.runIf(thorough)('a run that hacks its reward', () => {
  test('is warned of, each sign once: a judge that falls while the reward rises, and entropy that collapses', async () => {
    const options = { data: 'judged.jsonl', verify: 'regex', verifyWeight: 0 };
    const hacking = { klCoefficient: 0, maxKl: 1000, lr: 5e-3, batchSize: 16, samplesPerPrompt: 4, steps: 40 };
    const run = await opened(rlooStage, { ...common, ...options, ...hacking });
    await run.upTo(40);
    const warnings = run.logged.filter((line) => line.startsWith('warning: '));
    expect(warnings.some((line) => /entropy has fallen from .* the policy hardly explores/.test(line))).toBe(true);
    expect(warnings.some((line) => /verifiedReward fell from .* while the reward rose from/.test(line))).toBe(true);
    expect(warnings.length).toBe(3);
    expect(warnings.some((line) => line.includes('100 % of the responses were cut off'))).toBe(true);
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

  test('a source of weight 0 judges and is not learned from', async () => {
    const options = { ...common, verify: 'number', verifyWeight: 0, jsonSchema: 'short.json' };
    const [record] = (await (await opened(ppoStage, options)).upTo(1)).records;
    expect(record!.reward).toBe(record!.functionReward! + record!.schemaReward!);
    expect(record!.verifiedReward).toBeGreaterThanOrEqual(0);
  });

  test('a file of code as `reward` is a reward function, in TypeScript as in JavaScript', async () => {
    const options = { ...common, rewardFunction: undefined, reward: 'letters.ts' };
    const { records } = await (await opened(ppoStage, options)).upTo(1);
    expect(records).toEqual((await (await opened(ppoStage, common)).upTo(1)).records);
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

describe('named switches', () => {
  const onlyReward = { rewardFunction: undefined };
  const recordsOf = async (options: Record<string, unknown>, reward?: string) =>
    (await (await opened(ppoStage, { ...common, valueLr: 1e-3, ...options }, reward)).upTo(2)).records;

  test('scores are scaled, then clipped, then less the penalty of a missing end', async () => {
    const [record] = await recordsOf({ scoreScale: 'standard', scoreClip: 0.1, missingEosPenalty: 5 });
    expect(Math.abs(record!.score! + 5 * (1 - record!.endRate!))).toBeLessThanOrEqual(0.1 + 1e-12);
    expect(record!.reward).toBe(record!.functionReward);
  });

  test('the critic begins as the reward model, as the policy, or as a head on the policy', async () => {
    const stateOf = async (options: Record<string, unknown>, reward?: string) => {
      const { state, logged } = await opened(ppoStage, { ...common, ...options }, reward);
      const { critic, optimizer, rewardModel, valueOffset: offset } = state as PpoState;
      const read = async (model: Model | undefined, name: string) =>
        model && [...(await backend.read(model.parameters.get(name)!))];
      const trunk = 'model.layers.0.mlp.down_proj.weight';
      const found = {
        head: await read((critic ?? optimizer).model, 'score.weight'),
        rewardHead: await read(rewardModel?.model, 'score.weight'),
        isTrunkOfPolicy:
          `${await read((critic ?? optimizer).model, trunk)}` === `${await read(optimizer.model, trunk)}`,
        isShared: critic === undefined,
        offset,
        said: logged.filter((line) => line.startsWith('values begin')),
      };
      ppoStage.close!(state as PpoState);
      return found;
    };
    const asReward = await stateOf({ ...onlyReward, critic: 'auto' }, 'reward');
    expect(asReward).toMatchObject({ head: asReward.rewardHead, offset: 1.5 });
    expect(asReward.said).toEqual(['values begin as those of the reward model']);
    for (const options of [
      { critic: 'reward', rewardWeight: 0 },
      { ...onlyReward, rewardFunction: 'letters.js', rewardFunctionWeight: 0 },
      { ...onlyReward, verify: 'exact', verifyWeight: 0 },
    ]) {
      expect(await stateOf(options, 'reward'), JSON.stringify(options)).toEqual(asReward);
    }
    for (const options of [
      {},
      { rewardWeight: 0 },
      { ...onlyReward, rewardWeight: 0.02 },
      { ...onlyReward, scoreScale: 'deviation' },
      { ...onlyReward, verify: 'exact' },
      { ...onlyReward, critic: 'policy' },
      { ...onlyReward, critic: 'shared' },
    ]) {
      const { head, isTrunkOfPolicy, isShared, offset, said } = await stateOf(options, 'reward');
      expect(new Set(head), JSON.stringify(options)).toEqual(new Set([0]));
      expect([isTrunkOfPolicy, isShared, offset]).toEqual([
        true,
        'critic' in options && options.critic === 'shared',
        0,
      ]);
      expect(said).toEqual(isShared ? [] : ["values begin as 0: the policy's decoder under a new head"]);
    }
  });

  test('values of a critic that began as the reward model are rewards of what there is so far, with their offset', async () => {
    const run = await opened(ppoStage, { ...common, ...onlyReward, passes: 2, valueLr: 1e-3 }, 'reward');
    const state = run.state as PpoState;
    const steps = ppoStage.run(run.config as PpoConfig, state, run.run);
    expect((await steps.next()).value).toBe(pause);
    const { prompt, response, values } = state.iteration!.examples[0]!;
    const prefixes = response.map((_, t) => prompt.length + t);
    const text = Int32Array.of(...prompt, ...response);
    const rewards = await rewardScores(
      state.rewardModel!,
      Array.from(prefixes, (length) => text.slice(0, length)),
    );
    expect(rewards.length).toBeGreaterThan(1);
    for (const [t, reward] of rewards.entries()) expect(values[t]).toBeCloseTo(reward, 4);
    // The first update checks that its values are these; the state goes on with the same offset.
    expect((await steps.next()).value).toBe(pause);
    const saved = await mkdtemp(join(directory, 'as-reward-'));
    await ppoStage.save!(state, saved);
    const resumed = await ppoStage.open(run.config as PpoConfig, run.run, saved);
    expect(resumed.valueOffset).toBe(1.5);
    for (const opened of [state, resumed]) ppoStage.close!(opened);
  });

  test('values are learned on a shared trunk too, and the result is a plain language model', async () => {
    const always = { rewardFunction: 'one.js', lambda: 1, klCoefficient: 0, critic: 'shared', valueClip: 9 };
    const { records } = await (await opened(ppoStage, { ...common, ...always, lr: 3e-3, epochs: 6 })).upTo(8);
    expect(records[0]!.valueLoss).toBeGreaterThan(0.2);
    expect(records.at(-1)!.valueLoss).toBeLessThan(0.05);
    const { config, state } = await opened(ppoStage, { ...common, critic: 'shared' });
    const final = await mkdtemp(join(directory, 'final-'));
    await ppoStage.finish(config as PpoConfig, state as PpoState, final);
    const { model } = await loadModel(final, backend);
    expect(model.parameters.has('score.weight')).toBe(false);
    releaseModel(model);
    ppoStage.close!(state as PpoState);
  });

  test('text that is mixed in holds the loss on it down', async () => {
    const pretrainLossOf = async (pretrainWeight: number) =>
      (await recordsOf({ pretrainData: 'text.txt', pretrainLength: 32, pretrainWeight, passes: 4 })).at(-1)!
        .pretrainLoss!;
    expect(await pretrainLossOf(20)).toBeLessThan((await pretrainLossOf(1e-9)) - 0.05);
  });

  test('an entropy bonus keeps the policy undecided', async () => {
    const entropyOf = async (entropyCoefficient: number) =>
      (
        await (await opened(rlooStage, { ...common, samplesPerPrompt: 2, entropyCoefficient, epochs: 6 })).upTo(10)
      ).records.at(-1)!.entropy!;
    expect(await entropyOf(2)).toBeGreaterThan((await entropyOf(0)) + 0.005);
  });

  test('the reference follows the policy, at once or in part, and the KL is that to where it is', async () => {
    const options = { ...common, samplesPerPrompt: 2, lr: 5e-3 };
    const klOf = async (more: Record<string, unknown>) =>
      (await (await opened(rlooStage, { ...options, ...more })).upTo(3)).records.map(({ kl }) => kl!);
    const still = await klOf({});
    const following = await klOf({ referenceEvery: 1 });
    const half = await klOf({ referenceEvery: 1, referenceMix: 0.5 });
    expect(following).toEqual([0, 0, 0]);
    expect(Math.abs(half[1]!)).toBeGreaterThan(0);
    expect(Math.abs(half[1]!)).toBeLessThan(Math.abs(still[1]!));
  });

  test('a moving average of the policy is the result', async () => {
    const run = await opened(rlooStage, { ...common, samplesPerPrompt: 2, averageDecay: 0.5, epochs: 1 });
    const { state, config } = run;
    const norm = 'model.norm.weight';
    const first = [...(await backend.read(state.optimizer.model.parameters.get(norm)!))];
    for await (const _ of rlooStage.run(config as RlooConfig, state, run.run));
    const last = [...(await backend.read(state.optimizer.model.parameters.get(norm)!))];
    const average = [...(await backend.read(resultOf(state).parameters.get(norm)!))];
    // Two updates of a half each: ¼ · first + ¼ · between + ½ · last, and between is near both.
    const share = (average[0]! - first[0]!) / (last[0]! - first[0]!);
    expect(share).toBeGreaterThan(0.4);
    expect(share).toBeLessThan(0.95);
    rlooStage.close!(state);
  });

  test('rewards that are whitened and k3 change what is learned, and nothing else at first', async () => {
    const [plain] = await recordsOf({});
    for (const options of [{ whitenRewards: true }, { klKind: 'k3' }, { klKind: 'abs' }]) {
      const records = await recordsOf(options);
      expect(records[0]!.reward).toBe(plain!.reward);
      expect(records[1]).not.toEqual((await recordsOf({}))[1]);
    }
  });
});

describe('presets', () => {
  const written = { from: 'start', data: 'prompts.jsonl', verify: 'exact' };

  test.each(Object.keys(ppoPresets))('%s gives defaults that written keys override', (preset) => {
    const values: Record<string, unknown> = ppoPresets[preset as keyof typeof ppoPresets];
    expect(ppoSchema.parse({ ...written, preset })).toMatchObject(values);
    expect(ppoSchema.parse({ ...written, preset, clipRange: 0.3 })).toMatchObject({ ...values, clipRange: 0.3 });
  });

  test('that are unknown are refused by name', () => {
    expect(() => ppoSchema.parse({ ...written, preset: 'trll' })).toThrow(/lm-human-preferences/);
  });

  test('of GRPO are its corrections', () => {
    expect(grpoSchema.parse({ ...written, preset: 'dapo' })).toMatchObject({ clipHigher: 0.28, weighting: 'token' });
    expect(grpoSchema.parse({ ...written, preset: 'dr-grpo' })).toMatchObject({ scale: 'none', weighting: 'constant' });
  });
});

interface Run {
  /** Lines of the log. */
  logged: readonly string[];
  config: unknown;
  state: ReinforcementState;
  run: StageRun;
  /**
   * Goes on to the end of an iteration, or so many pauses into it (not the one that is gone on with), from a saved
   * state where one is given.
   */
  upTo(
    step: number,
    options?: { from?: string; pauses?: number },
  ): Promise<{ records: StepRecord[]; weights: string; budget: Budget; saved: string }>;
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
  const logged: string[] = [];
  const log = (message: string): void => {
    logged.push(message);
  };
  const run: StageRun = {
    backend,
    seed: 1,
    directory,
    baseDirectory: directory,
    inputs: { ...inputs, ...rewardInput },
    log,
  };
  const state = await stage.open(config, run);
  return { config, state, run, logged, upTo };

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
      return { records, weights: await weightsOf(present.optimizer.model), budget: present.budget!, saved };
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
  const config = withPlacement({ ...presetConfig('1m'), vocabSize: tokenizer.vocabSize, layers: 2 }, 'mix', {
    postLayers: 1,
  });
  const model = await initialiseModel(config, backend, 3, { std: 0.05, embeddingStd: 0.05 });
  const input = await savedModel(name, model, tokenizer);
  releaseModel(model);
  return input;
}

async function savedModel(
  name: string,
  model: Model,
  tokenizer: Tokenizer,
  rewardOffset?: number,
): Promise<StageInput> {
  const path = join(directory, name);
  await mkdir(path);
  await saveModel(path, model, { tokenizer, ...(rewardOffset === undefined ? {} : { rewardOffset }) });
  return { name, directory: path };
}
