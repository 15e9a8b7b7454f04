import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodedPrompts } from '../../src/data/prompts.ts';
import type { Metrics } from '../../src/evaluation/metrics.ts';
import { generate } from '../../src/generation/generate.ts';
import { clipFraction } from '../../src/losses/clipped-policy.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { copyModel, mixInto } from '../../src/model/weights.ts';
import type { ReinforcementState } from '../../src/reinforcement/state.ts';
import { grpoStage } from '../../src/stages/grpo.ts';
import { ppoStage } from '../../src/stages/ppo.ts';
import { rlooStage } from '../../src/stages/rloo.ts';
import { pause, type Stage, type StepRecord } from '../../src/stages/stage.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { minibatchesOf, type PpoExample } from '../../src/training/experience.ts';
import { ofEachResponse, responseLogProbs } from '../../src/training/responses.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

let world: SmallWorld;
beforeAll(async () => {
  world = await smallWorld();
});
afterAll(() => world.close());

const rollouts = { from: 'start', data: 'prompts.jsonl', rewardFunction: 'length.js', batchSize: 6, maxNewTokens: 8 };

describe('the first update of PPO, whose ratios are 1 and whose values are those of the advantages', () => {
  test.each([{ critic: 'policy' }, { critic: 'shared' }])(
    '%o: losses are means over the tokens of the minibatch',
    async (own) => {
      const options = { ...rollouts, ...own, minibatches: 3, klCoefficient: 0 };
      const { config, state, run } = await world.open(ppoStage, options);
      const steps = ppoStage.run(config, state, run);
      await steps.next();
      const { examples } = state.iteration!;
      for (const [i, example] of examples.entries()) Object.assign(example, cutTo(example, 1 + (i % 5)));
      const [minibatch] = minibatchesOf(examples, { passes: 4, minibatches: 3, seed: 1, name: 'ppo/1' });
      const lengths = new Set(minibatch!.map(({ response }) => response.length));
      expect(lengths.size).toBeGreaterThan(1);
      await steps.next();
      const [update] = state.iteration!.updates;
      const overTokens = (of: (example: PpoExample, t: number) => number): number => {
        const values = minibatch!.flatMap((example) => Array.from(example.response, (_, t) => of(example, t)));
        return values.reduce((a, b) => a + b, 0) / values.length;
      };
      expect(update!.policyLoss).toBeCloseTo(
        overTokens(({ advantages }, t) => -advantages[t]!),
        5,
      );
      const valueLoss = overTokens(({ values, returns }, t) => (values[t]! - returns[t]!) ** 2 / 2);
      expect(update!.valueLoss! / valueLoss).toBeCloseTo(1, 4);
      ppoStage.close!(state);
    },
  );
});

/** The first tokens of a response; this model never ends one by itself. */
function cutTo(example: PpoExample, tokens: number): Partial<PpoExample> {
  const { response, logProbs, reference, advantages, values, returns } = example;
  const first = (numbers: Float64Array) => numbers.slice(0, tokens);
  return {
    response: response.slice(0, tokens),
    logProbs: first(logProbs),
    reference: first(reference),
    advantages: first(advantages),
    values: first(values),
    returns: first(returns),
  };
}

describe('how far ratios may go', () => {
  const updatesOf = async (options: object): Promise<Metrics[]> => {
    const many = { ...rollouts, samplesPerPrompt: 4, passes: 4, lr: 3e-3, klCoefficient: 0, ...options };
    const { config, state, run } = await world.open(grpoStage, many);
    let updates: Metrics[] = [];
    for await (const record of grpoStage.run(config, state, run)) {
      if (record !== pause) break;
      updates = state.iteration!.updates;
    }
    grpoStage.close!(state);
    return updates;
  };
  const clipped = async (options: object) => (await updatesOf(options)).reduce((sum, u) => sum + u.clipFraction!, 0);

  test('up and down apart in GRPO: clipHigher is the upper bound, clipRange the lower one', async () => {
    const [narrow, wide] = [1e-6, 1e6];
    const both = await clipped({ clipRange: narrow });
    const [onlyBelow, onlyAbove] = [
      await clipped({ clipRange: narrow, clipHigher: wide }),
      await clipped({ clipRange: wide, clipHigher: narrow }),
    ];
    expect(await clipped({ clipRange: wide, clipHigher: wide })).toBe(0);
    expect(Math.min(onlyBelow, onlyAbove)).toBeGreaterThan(0);
    expect(both).toBeGreaterThan(Math.max(onlyBelow, onlyAbove));
  });

  test('in PPO, of policy and values', async () => {
    const options = { ...rollouts, lr: 3e-3, valueLr: 3e-3, passes: 4 };
    const recordOf = async (more: object) => {
      const { config, state, run } = await world.open(ppoStage, { ...options, ...more });
      for await (const record of ppoStage.run(config, state, run)) {
        if (record === pause) continue;
        ppoStage.close!(state);
        return record;
      }
      throw new Error('no iteration was finished');
    };
    const [plain, free, bound] = [
      await recordOf({ valueClip: 1e6 }),
      await recordOf({ clipRange: 1e6, valueClip: 1e6 }),
      await recordOf({ valueClip: 1e-6 }),
    ];
    expect(plain.clipFraction).toBeGreaterThan(0);
    expect(free.clipFraction).toBe(0);
    expect(bound.valueLoss).toBeGreaterThan(plain.valueLoss!);
  });

  test('in PPO up and down by clipRange', async () => {
    const options = { ...rollouts, lr: 3e-3, passes: 2, clipRange: 0.01, klCoefficient: 0 };
    const { config, state, run } = await world.open(ppoStage, options);
    const steps = ppoStage.run(config, state, run);
    for (let pauses = 0; pauses < 2; pauses++) await steps.next();
    const { examples, updates } = state.iteration!;
    const packed = (responses: readonly PpoExample[]) =>
      ofEachResponse(responses, (batch) => responseLogProbs(state.optimizer.model, batch, config.temperature));
    const now = (await packed(examples)).flatMap((logProbs) => [...logProbs]);
    const all = (of: (example: PpoExample) => Float64Array) => examples.flatMap((example) => [...of(example)]);
    const [old, advantages] = [all(({ logProbs }) => logProbs), all((example) => example.advantages)];
    const share = (range: { low: number; high: number }) => clipFraction(now, old, advantages, range);
    await steps.next();
    const both = share({ low: 0.01, high: 0.01 });
    expect(share({ low: 0.01, high: 9 })).toBeLessThan(both);
    expect(share({ low: 9, high: 0.01 })).toBeLessThan(both);
    const [, second] = updates;
    expect(second!.clipFraction).toBeCloseTo(both, 2);
    ppoStage.close!(state);
  });
});

describe('averages of weights', () => {
  const norm = 'model.norm.weight';
  const valuesOf = async (tensor: Tensor) => Array.from(await world.backend.read(tensor));
  const read = (model: ReinforcementState['reference']) => valuesOf(model.parameters.get(norm)!);
  const mixed = (a: number[], b: number[], share: number) => a.map((value, i) => value + share * (b[i]! - value));

  test('go by their share from one to the other, which stays', async () => {
    const { state } = await world.open(rlooStage, { ...rollouts, samplesPerPrompt: 2 });
    const [into, from] = [copyModel(state.reference), copyModel(state.reference)];
    world.backend.fill(from.parameters.get(norm)!, 3);
    const first = await read(into);
    mixInto(into, from, 0.25);
    for (const [i, value] of (await read(into)).entries()) expect(value).toBeCloseTo(0.75 * first[i]! + 0.75, 5);
    expect(new Set(await read(from))).toEqual(new Set([3]));
    mixInto(into, from, 1);
    expect(await read(into)).toEqual(await read(from));
    for (const model of [into, from]) releaseModel(model);
    rlooStage.close!(state);
  });

  test('of decay 0.9 keep nine tenths of what they were; a reference of mix 0.25 keeps three quarters', async () => {
    const options = {
      ...rollouts,
      samplesPerPrompt: 2,
      lr: 1e-2,
      averageDecay: 0.9,
      referenceEvery: 1,
      referenceMix: 0.25,
    };
    const { config, state, run } = await world.open(rlooStage, options);
    const first = await read(state.reference);
    for await (const record of rlooStage.run(config, state, run)) if (record !== pause) break;
    const policy = await read(state.optimizer.model);
    expect(Math.abs(policy[0]! - first[0]!)).toBeGreaterThan(1e-3);
    const [average, reference] = [await read(state.average!), await read(state.reference)];
    for (const [i, expected] of mixed(first, policy, 0.1).entries()) expect(average[i]).toBeCloseTo(expected, 6);
    for (const [i, expected] of mixed(first, policy, 0.25).entries()) expect(reference[i]).toBeCloseTo(expected, 6);
    rlooStage.close!(state);
  });
});

describe('what an iteration learns from', () => {
  /** The state before the first update, of a policy whose reference is another model. */
  async function begun(stage: Stage<unknown, ReinforcementState>, options: object) {
    const opened = await world.open(stage, { ...rollouts, ...options });
    world.backend.fill(opened.state.reference.parameters.get('model.norm.weight')!, 0.9);
    opened.state.isReferenceFresh = false;
    const steps = stage.run(opened.config, opened.state, opened.run);
    await steps.next();
    return { ...opened, steps, examples: opened.state.iteration!.examples as PpoExample[] };
  }
  const deltas = ({ logProbs, reference }: PpoExample) => Array.from(logProbs, (logProb, t) => logProb - reference[t]!);

  test('the KL of GRPO is k3 in the loss, times its coefficient', async () => {
    const options = { samplesPerPrompt: 3, klCoefficient: 2, weighting: 'token' };
    const { state, steps, examples } = await begun(grpoStage as Stage<unknown, ReinforcementState>, options);
    const record = (await steps.next()).value as StepRecord;
    const losses = examples.flatMap((example) =>
      deltas(example).map((delta, t) => -example.advantages[t]! + 2 * (Math.exp(-delta) - 1 + delta)),
    );
    const expected = losses.reduce((a, b) => a + b, 0) / losses.length;
    expect(Math.abs(expected)).toBeGreaterThan(1e-3);
    expect(record.policyLoss! / expected).toBeCloseTo(1, 3);
    grpoStage.close!(state);
  });

  test('the KL of RLOO is taken off the score, and a group is of all samples of a prompt', async () => {
    const options = { samplesPerPrompt: 3, klCoefficient: 2 };
    const { state, examples } = await begun(rlooStage as Stage<unknown, ReinforcementState>, options);
    const rewards = examples.map((example) => example.score - 2 * deltas(example).reduce((a, b) => a + b, 0));
    for (const [i, { advantages }] of examples.entries()) {
      const group = rewards.slice(i - (i % 3), i - (i % 3) + 3);
      const others = group.reduce((a, b) => a + b, 0) - rewards[i]!;
      expect(advantages[0]).toBeCloseTo(rewards[i]! - others / 2, 9);
    }
    rlooStage.close!(state);
  });

  test('groups of GRPO are of all samples of a prompt', async () => {
    const options = { samplesPerPrompt: 3, scale: 'none' };
    const { state, examples } = await begun(grpoStage as Stage<unknown, ReinforcementState>, options);
    for (const [i, { advantages, score }] of examples.entries()) {
      const group = examples.slice(i - (i % 3), i - (i % 3) + 3);
      expect(advantages[0]).toBeCloseTo(score - group.reduce((sum, one) => sum + one.score, 0) / 3, 9);
    }
    grpoStage.close!(state);
  });

  test('scores are scaled by the moments of all iterations, then clipped on both sides', async () => {
    const options = { ...rollouts, samplesPerPrompt: 2, scoreScale: 'standard', scoreClip: 0.5, missingEosPenalty: 0 };
    const { config, state, run } = await world.open(rlooStage, options);
    const scores: number[] = [];
    for await (const record of rlooStage.run(config, state, run)) {
      if (record === pause) scores.push(...state.iteration!.examples.map((example) => (example as PpoExample).score));
      else if (record.step === 2) break;
    }
    expect([Math.min(...scores), Math.max(...scores)]).toEqual([-0.5, 0.5]);
    expect(state.scoreMoments.count).toBe(24);
    rlooStage.close!(state);
  });
});

test('a critic has a rate of its own', async () => {
  for (const [lr, valueLr] of [
    [1e-3, 1e-30],
    [1e-30, 1e-3],
  ] as const) {
    const { config, state, run } = await world.open(ppoStage, { ...rollouts, lr, valueLr, passes: 1 });
    const read = async ({ parameters }: Model, name: string) => world.backend.read(parameters.get(name)!);
    // Under a head of zeros the critic's first update moves the head only.
    const weights = async () => [
      (await read(state.optimizer.model, 'model.norm.weight'))[0]!,
      (await read(state.critic!.model, 'score.weight'))[0]!,
    ];
    const before = await weights();
    for await (const record of ppoStage.run(config, state, run)) if (record !== pause) break;
    const after = await weights();
    const hasMoved = after.map((weight, i) => Math.abs(weight - before[i]!) > 1e-9);
    expect(hasMoved).toEqual([lr > valueLr, valueLr > lr]);
    ppoStage.close!(state);
  }
});

test('a record of an iteration holds means over its updates', async () => {
  const { config, state, run } = await world.open(ppoStage, { ...rollouts, passes: 2, minibatches: 2, lr: 1e-3 });
  let updates: Metrics[] = [];
  for await (const record of ppoStage.run(config, state, run)) {
    if (record === pause) {
      updates = state.iteration!.updates;
      continue;
    }
    expect(updates).toHaveLength(4);
    for (const name of ['policyLoss', 'valueLoss', 'gradientNorm']) {
      expect(record[name]).toBeCloseTo(updates.reduce((sum, update) => sum + update[name]!, 0) / 4, 9);
    }
    break;
  }
  ppoStage.close!(state);
});

test('held-out prompts are answered greedily, as many as evalRows says', async () => {
  const { config, state, run } = await world.open(rlooStage, { ...rollouts, holdOut: 0.5, evalRows: 2 });
  expect([state.prompts.length, state.heldOut.length]).toEqual([6, 6]);
  const prompts = encodedPrompts(state.heldOut.slice(0, 2), state.tokenizer).map(({ tokens }) => tokens);
  const greedy = await generate(state.optimizer.model, prompts, { maxNewTokens: 8, stopIds: state.tokenizer.endIds });
  const texts = greedy.map(({ tokens }) => state.tokenizer.decode(tokens, { skipSpecialTokens: true }));
  const metrics = await rlooStage.evaluate!(config, state, run);
  expect(metrics.reward).toBe((texts[0]!.length + texts[1]!.length) / 2);
  const samples = await rlooStage.sample!(config, state, run);
  expect(samples.slice(0, 2).map(({ completion }) => completion)).toEqual(texts);
  rlooStage.close!(state);
});
