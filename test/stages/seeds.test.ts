import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DataCursor } from '../../src/data/cursor.ts';
import type { ReinforcementState } from '../../src/reinforcement/state.ts';
import { dpoStage } from '../../src/stages/dpo.ts';
import { grpoStage } from '../../src/stages/grpo.ts';
import { ppoStage } from '../../src/stages/ppo.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import { rewardStage } from '../../src/stages/reward.ts';
import { rlooStage } from '../../src/stages/rloo.ts';
import { sftStage } from '../../src/stages/sft.ts';
import { pause, type Stage } from '../../src/stages/stage.ts';
import type { TrainingState } from '../../src/training/state.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

let world: SmallWorld;
beforeAll(async () => {
  world = await smallWorld();
});
afterAll(() => world.close());

const pretraining = { tokenizer: 'start', data: 'text.txt', model: '1m', norm: 'mix', length: 16 };
const preferences = { from: 'start', data: 'pairs.jsonl' };
const rollouts = { from: 'start', data: 'prompts.jsonl', rewardFunction: 'length.js', batchSize: 4, maxNewTokens: 6 };
const groups = { ...rollouts, samplesPerPrompt: 2 };

type AnyStage<State> = Stage<unknown, State>;
const training = (stage: unknown) => stage as AnyStage<TrainingState>;
const reinforcement = (stage: unknown) => stage as AnyStage<ReinforcementState>;

const stages: [string, AnyStage<TrainingState>, object][] = [
  ['pretrain', training(pretrainStage), pretraining],
  ['sft', training(sftStage), { from: 'start', data: 'messages.jsonl' }],
  ['reward', training(rewardStage), preferences],
  ['dpo', training(dpoStage), preferences],
  ['kto', training(dpoStage), { ...preferences, loss: 'kto' }],
  ['ppo', training(ppoStage), rollouts],
  ['rloo', training(rlooStage), groups],
  ['grpo', training(grpoStage), groups],
];

const reinforcing: [string, AnyStage<ReinforcementState>, object][] = [
  ['ppo', reinforcement(ppoStage), rollouts],
  ['rloo', reinforcement(rlooStage), groups],
  ['grpo', reinforcement(grpoStage), groups],
];

describe('the seed of a stage decides the order of its data, also after resuming:', () => {
  test.each(stages)('%s', async (_, stage, config) => {
    const orders: string[] = [];
    for (const seed of [1, 2]) {
      const { state } = await world.open(stage, config, { seed });
      const { rows } = state.cursor;
      const first = state.cursor.take(3);
      expect(first).toEqual(new DataCursor(rows, seed).take(3));
      const { state: resumed } = await world.open(stage, config, { seed, from: await world.save(stage, state) });
      const rest = resumed.cursor.take(rows);
      expect(rest).toEqual(state.cursor.take(rows));
      orders.push([...first, ...rest].join());
      for (const open of [state, resumed]) stage.close!(open);
    }
    expect(orders[0]).not.toBe(orders[1]);
  });

  test('of the text that is mixed in', async () => {
    const config = { ...rollouts, pretrainData: 'text.txt', pretrainLength: 16 };
    for (const seed of [1, 2]) {
      const { state } = await world.open(ppoStage, config, { seed });
      const { cursor } = state.pretraining!;
      expect(cursor.take(9)).toEqual(new DataCursor(cursor.rows, seed).take(9));
      ppoStage.close!(state);
    }
  });
});

describe('the seed decides initial weights:', () => {
  test.each([
    ['of a model', training(pretrainStage), pretraining, 'model.layers.0.mlp.down_proj.weight'],
    ['of a score head', training(rewardStage), preferences, 'score.weight'],
  ] as const)('%s', async (_, stage, config, name) => {
    const read = async (seed: number) => {
      const { state } = await world.open(stage, config, { seed });
      const values = await world.backend.read(state.optimizer.model.parameters.get(name)!);
      stage.close!(state);
      return values.join();
    };
    expect(await read(1)).toBe(await read(1));
    expect(await read(1)).not.toBe(await read(2));
  });
});

describe.each(reinforcing)('%s', (_, stage, config) => {
  /** The tokens of the responses of an iteration, at a rate that changes nothing, to prompts that are all the same. */
  async function responsesOf(seed: number, iteration: number): Promise<string> {
    const {
      config: parsed,
      state,
      run,
    } = await world.open(stage, { ...config, data: 'one-prompt.jsonl', lr: 1e-30 }, { seed });
    let sampled = '';
    for await (const record of stage.run(parsed, state, run)) {
      if (record === pause) sampled = state.iteration!.examples.map(({ response }) => response.join()).join('; ');
      else if (record.step === iteration) break;
    }
    stage.close!(state);
    return sampled;
  }

  test('seed and iteration decide what is sampled', async () => {
    const [first, again, second, other] = [
      await responsesOf(1, 1),
      await responsesOf(1, 1),
      await responsesOf(1, 2),
      await responsesOf(2, 1),
    ];
    expect(again).toBe(first);
    expect(new Set([first, second, other]).size).toBe(3);
  });

  test('each sample of a prompt is another', async () => {
    expect(new Set((await responsesOf(1, 1)).split('; ')).size).toBeGreaterThan(2);
  });

  test('seed and iteration decide the minibatches', async () => {
    const cut = { ...config, minibatches: 2 };
    const { config: parsed, state, run } = await world.open(stage, cut);
    for await (const record of stage.run(parsed, state, run)) if (record === pause) break;
    const from = await world.save(stage, state);
    stage.close!(state);
    /** The gradient norm of the first minibatch says which responses are in it. */
    const firstNorm = async (seed: number, iteration: number) => {
      const opened = await world.open(stage, cut, { seed, from });
      opened.state.optimizer.step = 2 * (iteration - 1);
      const steps = stage.run(parsed, opened.state, opened.run);
      await steps.next();
      await steps.next();
      const norm = opened.state.iteration!.updates[0]!.gradientNorm;
      stage.close!(opened.state);
      return norm;
    };
    const norms = [await firstNorm(1, 1), await firstNorm(1, 1), await firstNorm(2, 1), await firstNorm(1, 2)];
    expect(norms[1]).toBe(norms[0]);
    expect(new Set(norms).size).toBe(3);
  });
});
