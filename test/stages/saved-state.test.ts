import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dpoStage } from '../../src/stages/dpo.ts';
import { ppoStage } from '../../src/stages/ppo.ts';
import { rlooStage } from '../../src/stages/rloo.ts';
import { pause } from '../../src/stages/stage.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

let world: SmallWorld;
beforeAll(async () => {
  world = await smallWorld();
});
afterAll(() => world.close());

const preferences = { from: 'start', data: 'pairs.jsonl', batchSize: 4 };
const rollouts = { from: 'start', data: 'prompts.jsonl', rewardFunction: 'length.js', batchSize: 4, maxNewTokens: 6 };
const everything = {
  ...rollouts,
  samplesPerPrompt: 2,
  lr: 1e-3,
  pretrainData: 'text.txt',
  pretrainLength: 16,
  referenceEvery: 1,
  referenceMix: 0.5,
  averageDecay: 0.9,
  scoreScale: 'standard',
};

describe('what a saved state keeps beside weights, moments and the place in the data', () => {
  test('dpo: what is watched, and what was said', async () => {
    const { config, state, run } = await world.open(dpoStage, preferences);
    await dpoStage.run(config, state, run).next();
    expect(state.watch).toMatchObject({ steps: 1, pairs: 4 });
    state.watch.told.push('swapped');
    const resumed = await world.open(dpoStage, preferences, { from: await world.save(dpoStage, state) });
    expect(resumed.state.watch).toEqual(state.watch);
    for (const open of [state, resumed.state]) dpoStage.close!(open);
  });

  test('rloo: the first iteration, what was warned of, moments of scores, the place in the text, all models', async () => {
    const { config, state, run } = await world.open(rlooStage, everything);
    for await (const record of rlooStage.run(config, state, run)) if (record !== pause) break;
    state.warned.add('length');
    const { state: resumed } = await world.open(rlooStage, everything, { from: await world.save(rlooStage, state) });
    expect(state.baseline!.responseLength).toBeGreaterThan(0);
    expect(resumed.baseline).toEqual(state.baseline);
    expect(resumed.warned).toEqual(state.warned);
    expect(state.scoreMoments.count).toBe(8);
    expect(resumed.scoreMoments).toEqual(state.scoreMoments);
    expect(state.pretraining!.cursor.state().position).toBeGreaterThan(0);
    expect(resumed.pretraining!.cursor.state()).toEqual(state.pretraining!.cursor.state());
    expect([resumed.hasReferenceMoved, resumed.isReferenceFresh]).toEqual([true, false]);
    const weights = async (of: typeof state) =>
      Promise.all([of.optimizer.model, of.reference, of.average!].map((model) => world.weightsOf(model)));
    const [before, after] = [await weights(state), await weights(resumed)];
    expect(after).toEqual(before);
    expect(new Set(before).size).toBe(3);
    expect(resumed.referenceChecksum).toBe(state.referenceChecksum);
    for (const open of [state, resumed]) rlooStage.close!(open);
  });

  test('a reference that has become the policy is checked to be it, also after resuming', async () => {
    const config = { ...rollouts, samplesPerPrompt: 2, referenceEvery: 1 };
    const opened = await world.open(rlooStage, config);
    expect(opened.state.isReferenceFresh).toBe(true);
    for await (const record of rlooStage.run(opened.config, opened.state, opened.run)) if (record !== pause) break;
    const from = await world.save(rlooStage, opened.state);
    const { state } = await world.open(rlooStage, config, { from });
    expect([state.isReferenceFresh, state.hasReferenceMoved]).toEqual([true, true]);
    for (const open of [opened.state, state]) rlooStage.close!(open);
  });

  test('ppo: the coefficient that the KL has made, the iteration in the middle, and the critic', async () => {
    const config = { ...rollouts, klTarget: 1, klHorizon: 20, passes: 2, valueLr: 1e-3 };
    const opened = await world.open(ppoStage, config);
    const { state } = opened;
    let pauses = 0;
    for await (const record of ppoStage.run(opened.config, state, opened.run)) {
      if (record === pause && ++pauses === 4) break;
    }
    expect(state.klCoefficient).not.toBe(opened.config.klCoefficient);
    const { state: resumed } = await world.open(ppoStage, config, { from: await world.save(ppoStage, state) });
    expect(resumed.klCoefficient).toBe(state.klCoefficient);
    expect(resumed.iteration).toEqual(state.iteration);
    expect(resumed.critic!.step).toBe(state.critic!.step);
    expect(await world.weightsOf(resumed.critic!.model)).toBe(await world.weightsOf(state.critic!.model));
    for (const open of [state, resumed]) ppoStage.close!(open);
  });
});

test('a resumed run compares with its own first iteration, and does not say again what it has said', async () => {
  const config = { ...rollouts, samplesPerPrompt: 2, minibatches: 1 };
  const { config: parsed, state, run } = await world.open(rlooStage, config);
  for await (const record of rlooStage.run(parsed, state, run)) if (record !== pause) break;
  // As if the first responses had been a tenth as long.
  state.baseline = { ...state.baseline!, responseLength: state.baseline!.responseLength / 10 };
  const afterResuming = async () => {
    const opened = await world.open(rlooStage, config, { from: await world.save(rlooStage, state) });
    for await (const record of rlooStage.run(opened.config, opened.state, opened.run)) if (record !== pause) break;
    rlooStage.close!(opened.state);
    return opened.logged.filter((line) => line.startsWith('warning: responses went from'));
  };
  expect(await afterResuming()).toHaveLength(1);
  state.warned.add('length');
  expect(await afterResuming()).toEqual([]);
  rlooStage.close!(state);
});
