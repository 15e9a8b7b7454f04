import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { rewardModelFrom } from '../../src/checkpoint/reward-model.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import type { Model } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import type { ReinforcementState } from '../../src/reinforcement/state.ts';
import { dpoStage } from '../../src/stages/dpo.ts';
import { grpoStage } from '../../src/stages/grpo.ts';
import { type PpoState, ppoStage } from '../../src/stages/ppo.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import { rewardStage } from '../../src/stages/reward.ts';
import { rlooStage } from '../../src/stages/rloo.ts';
import { sftStage } from '../../src/stages/sft.ts';
import { pause, type Stage, type StageInput, type StepRecord } from '../../src/stages/stage.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { type Ranks, shareOf, shareOfBatches } from '../../src/training/ranks.ts';
import type { TrainingState } from '../../src/training/state.ts';
import { type SmallWorld, smallWorld } from '../stages/small-world.ts';

/** In float64 ranks and one process differ by the order of their sums alone, in the sixteenth digit. */
const exact = new PortableBackend('f64');
let world: SmallWorld;
let [policy, rewarding]: StageInput[] = [];
beforeAll(async () => {
  world = await smallWorld();
  const { directory, tokenizer } = world;
  const sizes = { hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 2, kvHeads: 1, headDim: 8 };
  const config = withPlacement({ ...presetConfig('1m'), ...sizes, vocabSize: tokenizer.vocabSize }, 'mix');
  const saved = async (name: string, model: Model): Promise<StageInput> => {
    await mkdir(join(directory, name));
    await saveModel(join(directory, name), model, { tokenizer });
    return { name, directory: join(directory, name) };
  };
  policy = await saved('policy', await initialiseModel(config, exact, 3, { std: 0.3, embeddingStd: 0.3 }));
  rewarding = await saved('rewarding', await rewardModelFrom(policy.directory, exact, 5));
});
afterAll(() => world.close());

interface Meeting extends Ranks {
  /** The gradients of each update, summed: tensors, their elements. */
  readonly summed: Float64Array[][];
}

/** Ranks in one process: a call of one of them resolves when all have made the same. */
function ranksInOneProcess(size: number): Meeting[] {
  let arrived = new Map<number, { call: string; own: unknown }>();
  let waiting: ((all: unknown[]) => void)[] = [];
  const meet = (rank: number, call: string, own: unknown): Promise<unknown[]> =>
    new Promise((resolve, reject) => {
      arrived.set(rank, { call, own: structuredClone(own) });
      waiting.push(resolve);
      if (arrived.size < size) return;
      const [all, everybody] = [Array.from({ length: size }, (_, r) => arrived.get(r)!), waiting];
      [arrived, waiting] = [new Map(), []];
      if (new Set(all.map((other) => other.call)).size > 1) reject(new Error('the ranks have made different calls'));
      for (const goOn of everybody) goOn(all.map((other) => other.own));
    });
  return Array.from({ length: size }, (_, rank) => {
    const summed: Float64Array[][] = [];
    return {
      rank,
      size,
      summed,
      gather: async <T>(own: readonly T[]) => (await meet(rank, 'gather', own)).flat() as T[],
      async sumGradients(gradients: Iterable<Tensor>) {
        const tensors = [...gradients];
        const own: Float64Array[] = [];
        for (const tensor of tensors) own.push(Float64Array.from(await tensor.backend.read(tensor)));
        const all = (await meet(rank, 'sumGradients', own)) as Float64Array[][];
        const sums = own.map((gradient, i) =>
          gradient.map((_, k) => all.reduce((sum, their) => sum + their[i]![k]!, 0)),
        );
        for (const [i, tensor] of tensors.entries()) tensor.backend.write(tensor, sums[i]!);
        summed.push(sums);
      },
    };
  });
}

type AnyStage = Stage<unknown, TrainingState>;
const anyOf = (stage: unknown) => stage as AnyStage;

interface Outcome {
  records: StepRecord[];
  /** All that is trained, and what else has weights that move. */
  weights: number[][];
  gradients: Float64Array[][];
}

/** Trains on one rank to the end of the stage. */
async function trained(stage: AnyStage, options: object, ranks: Meeting): Promise<Outcome> {
  const config = stage.schema.parse(options);
  const ofWorld = world.run();
  const inputs = { ...ofWorld.inputs, from: [policy!], reward: 'reward' in options ? [rewarding!] : [] };
  // The presets of pre-training are too large for a backend in TypeScript.
  const run = { ...ofWorld, backend: stage.name === 'pretrain' ? world.backend : exact, inputs, ranks };
  const state = await stage.open(config, run);
  const records: StepRecord[] = [];
  for await (const record of stage.run(config, state, run)) {
    if (record === pause) continue;
    const { rolloutTokensPerSecond: _, updateTokensPerSecond: __, ...numbers } = record;
    records.push(numbers);
  }
  const weights: number[][] = [];
  for (const { parameters } of modelsOf(state)) {
    for (const tensor of parameters.values()) weights.push([...(await tensor.backend.read(tensor))]);
  }
  stage.close!(state);
  return { records, weights, gradients: ranks.summed };
}

function modelsOf(state: TrainingState): Model[] {
  const { critic, reference, average } = state as Partial<PpoState & ReinforcementState>;
  return [state.optimizer.model, critic?.model, reference, average].filter((model) => model !== undefined);
}

function expectSame(found: Outcome, expected: Outcome): void {
  expect(found.records.length).toBe(expected.records.length);
  for (const [step, record] of expected.records.entries()) {
    expect(Object.keys(found.records[step]!).sort()).toEqual(Object.keys(record).sort());
    for (const [name, value] of Object.entries(record)) {
      const distance = Math.abs(found.records[step]![name]! - value!) / Math.max(1, Math.abs(value!));
      expect(distance, `${name} of step ${step + 1}`).toBeLessThan(1e-6);
    }
  }
  expect(found.gradients.length).toBe(expected.gradients.length);
  for (const [update, tensors] of expected.gradients.entries()) {
    const largest = farthest(tensors.map((gradient) => [gradient, gradient.map(() => 0)]));
    const pairs = tensors.map((gradient, i): Pair => [gradient, found.gradients[update]![i]!]);
    expect(largest, `gradients of update ${update + 1}`).toBeGreaterThan(0);
    expect(farthest(pairs) / largest, `gradients of update ${update + 1}`).toBeLessThan(1e-6);
  }
  expect(farthest(expected.weights.map((weights, i): Pair => [weights, found.weights[i]!]))).toBeLessThan(1e-6);
}

type Pair = [ArrayLike<number>, ArrayLike<number>];

/** The largest difference of an element, over all pairs. */
function farthest(pairs: readonly Pair[]): number {
  let far = 0;
  for (const [a, b] of pairs) for (let i = 0; i < a.length; i++) far = Math.max(far, Math.abs(a[i]! - b[i]!));
  return far;
}

const preferences = { from: 'policy', data: 'pairs.jsonl', batchSize: 3, accumulate: 3, steps: 2, lr: 1e-2 };
const rollouts = {
  from: 'policy',
  data: 'prompts.jsonl',
  rewardFunction: 'length.js',
  batchSize: 3,
  minibatches: 2,
  maxNewTokens: 5,
  scoreScale: 'standard',
  steps: 2,
  lr: 1e-2,
};

// Windows are of uneven shares, and some have fewer rows than there are ranks.
const cases: [string, AnyStage, object][] = [
  [
    'pretrain',
    anyOf(pretrainStage),
    {
      tokenizer: 'start',
      data: 'text.txt',
      model: '1m',
      norm: 'mix',
      length: 16,
      batchSize: 3,
      accumulate: 3,
      steps: 2,
      recordGradients: 1,
      // In float32 AdamW would make a whole step of a gradient that is nothing but rounding.
      epsilon: 1e-3,
    },
  ],
  ['sft', anyOf(sftStage), { from: 'policy', data: 'messages.jsonl', batchSize: 3, accumulate: 3, steps: 2 }],
  [
    'sft, a last window of one row',
    anyOf(sftStage),
    { from: 'policy', data: 'messages.jsonl', batchSize: 11, steps: 2 },
  ],
  ['reward', anyOf(rewardStage), { ...preferences, margin: 0.1, centring: 0.01 }],
  ['dpo', anyOf(dpoStage), { ...preferences, nllWeight: 0.3 }],
  ['dpo, loss simpo', anyOf(dpoStage), { ...preferences, loss: 'simpo' }],
  ['dpo, loss kto', anyOf(dpoStage), { ...preferences, loss: 'kto', nllWeight: 0.3 }],
  [
    'ppo',
    anyOf(ppoStage),
    {
      ...rollouts,
      passes: 2,
      whitenRewards: true,
      klTarget: 0.01,
      klHorizon: 10,
      pretrainData: 'text.txt',
      pretrainLength: 16,
      averageDecay: 0.5,
    },
  ],
  ['ppo, one trunk', anyOf(ppoStage), { ...rollouts, critic: 'shared', passes: 1, entropyCoefficient: 0.1 }],
  ['ppo, a reward model', anyOf(ppoStage), { ...rollouts, reward: 'reward', passes: 1, steps: 1 }],
  ['rloo', anyOf(rlooStage), { ...rollouts, samplesPerPrompt: 3, referenceEvery: 1, referenceMix: 0.5 }],
  ['grpo', anyOf(grpoStage), { ...rollouts, samplesPerPrompt: 3, weighting: 'token' }],
];

describe('ranks train what one process trains:', () => {
  test.each(cases)('%s', async (_, stage, options) => {
    const [one] = ranksInOneProcess(1);
    const expected = await trained(stage, options, one!);
    const both = await Promise.all(ranksInOneProcess(2).map((ranks) => trained(stage, options, ranks)));
    for (const found of both) expectSame(found, expected);
    expect(both[1]!.weights).toEqual(both[0]!.weights);
    expect(both[1]!.records).toEqual(both[0]!.records);
  });
});

describe('shares', () => {
  test.each([
    [7, 3],
    [2, 3],
    [6, 1],
    [0, 2],
  ])(
    'of %d rows on %d ranks are all rows in their order, as many on each as on any other or one fewer',
    (count, size) => {
      const rows = Array.from({ length: count }, (_, i) => i);
      const shares = Array.from({ length: size }, (_, rank) => shareOf(rows, { rank, size }));
      expect(shares.flat()).toEqual(rows);
      const lengths = shares.map(({ length }) => length);
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
    },
  );

  test('of a window keep its micro-batches, cut where a share ends', () => {
    const window = [[1, 2, 3, 4], [5, 6, 7, 8], [9]];
    const shares = [0, 1].map((rank) => shareOfBatches(window, { rank, size: 2 }));
    expect(shares).toEqual([[[1, 2, 3, 4]], [[5, 6, 7, 8], [9]]]);
    expect(shareOfBatches([[1, 2, 3]], { rank: 1, size: 2 })).toEqual([[2, 3]]);
    expect(shareOfBatches([[1]], { rank: 0, size: 2 })).toEqual([]);
  });
});
