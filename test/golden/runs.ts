import { readModelDirectory } from '../../src/checkpoint/model-directory.ts';
import type { Sequence } from '../../src/data/batch.ts';
import type { EncodedPair } from '../../src/data/encode.ts';
import type { Model } from '../../src/model/model.ts';
import { readModel } from '../../src/model/weights.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import type { ReferencedPair } from '../../src/training/preference.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';
import { fixturePath, readFixture } from './fixtures.ts';

interface Row {
  tokens: number[];
  trained: number[];
}

interface Pair {
  chosen: Row;
  rejected: Row;
}

export interface Run {
  float64: Record<'loss' | 'gradientNorm' | 'learningRate', number[]> &
    Partial<Record<'chosenReward' | 'rejectedReward', number[]>>;
  firstGradients?: Record<string, { norm: number; projection: number }>;
}

export interface Fixture<Item, Runs> {
  schedule: { learningRate: number; warmupSteps: number; steps: number; floor: number };
  optimiser: { beta1: number; beta2: number; epsilon: number; weightDecay: number; maxGradientNorm: number };
  /** For each update its micro-batches, and for each micro-batch its rows. */
  windows: Item[][][];
  runs: Runs;
}

export const modelNames = ['pre', 'mix'] as const;
type ByModel = Record<(typeof modelNames)[number], Run>;

export const fixtures = {
  pretrain: await readFixture<Fixture<Row, ByModel>>('pretrain.json'),
  sft: await readFixture<Fixture<Row, ByModel>>('sft.json'),
  /** Runs by loss, then by model. */
  dpo: await readFixture<Fixture<Pair, Record<string, ByModel>>>('dpo.json'),
};

export async function goldenModel(name: string, backend: Backend): Promise<Model> {
  const { config, read } = await readModelDirectory(fixturePath(name));
  return readModel(config, backend, read);
}

export const sequenceOf = ({ tokens, trained }: Row): Sequence => ({
  tokens: Int32Array.from(tokens),
  trained: Uint8Array.from(trained),
});

/** Pairs with their log-probabilities under the reference model. */
export async function withReference(reference: Model, rows: readonly Pair[]): Promise<ReferencedPair[]> {
  const pairs = rows.map(({ chosen, rejected }) => ({
    chosen: { ...sequenceOf(chosen), boundaryMerges: 0 },
    rejected: { ...sequenceOf(rejected), boundaryMerges: 0 },
  }));
  return referencedPairs(reference, pairs);
}

export async function referencedPairs(reference: Model, pairs: readonly EncodedPair[]): Promise<ReferencedPair[]> {
  const sequences = pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]);
  const logProbs = await logLikelihoods(reference, sequences);
  return pairs.map((pair, i) => ({
    ...pair,
    reference: { chosen: logProbs[2 * i]!, rejected: logProbs[2 * i + 1]! },
  }));
}
