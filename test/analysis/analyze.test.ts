import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { analyze, type DepthAnalysis } from '../../src/analysis/analyze.ts';
import type { NormChoice } from '../../src/model/config.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { backends } from '../golden/backends.ts';
import { largestDifference, readFixture } from '../golden/fixtures.ts';
import { formulaModel } from '../golden/formula.ts';

const sequenceOf = (ids: readonly number[]) => ({
  tokens: Int32Array.from(ids),
  trained: new Uint8Array(ids.length).fill(1, 1),
});

const rest = { ropeTheta: 10000, rmsNormEps: 1e-6, maxLength: 64, tieWordEmbeddings: false };
const family = { name: 'llama', settings: {} };
const normOf = (name: string, postLayers: number): NormChoice => ({
  name,
  settings: name === 'mix' ? { postLayers } : {},
});

interface Depth {
  postLayers: number;
  loss: number;
  streamRms: number[];
  angular: Record<'last' | 'all', number[][]>;
  effectiveRank: number[];
  /** Of the first row alone, which has fewer tokens than the model is wide. */
  effectiveRankOfFirst: number[];
  outliers: Record<'kurtosis' | 'largest', number[]>;
  attentionEntropy: Record<'nats' | 'normalised', number[][]>;
  removal: number[];
  exchange: number[];
  exits: number[];
  pruning: DepthAnalysis['pruning'];
  updates: { all: number; layers: number[]; head: number };
  gradients: Record<'layers' | 'matrices' | 'queries', number[]> &
    Record<'all' | 'embedding' | 'finalNorm' | 'head', number>;
}

const { rows, models } = await readFixture<{ rows: number[][]; models: Record<string, Depth> }>('depth.json');
const sizes = { vocabSize: 11, hiddenSize: 8, intermediateSize: 12, layers: 3, heads: 2, kvHeads: 2, headDim: 4 };

describe.each(backends)('what PyTorch finds in the tiny model, on $name', ({ open, bound }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  });
  afterAll(() => backend.dispose());

  test.each(Object.entries(models))('%s', async (name, expected) => {
    const norm = normOf(name, expected.postLayers);
    const model = formulaModel({ ...sizes, ...rest, family, norm }, backend);
    // Two passes: the first takes two of the three sequences.
    const base = formulaModel(model.config, backend, 1);
    const found = await analyze(model, rows.map(sequenceOf), { base, rowsAtOnce: 8 });
    const ofFirst = await analyze(model, rows.slice(0, 1).map(sequenceOf));
    for (const each of [model, base]) releaseModel(each);
    expect(found.effectiveRank.tokens).toBe(12);
    expect(ofFirst.updates).toBeUndefined();
    expect(found.placement).toEqual({ norm: name, ...norm.settings });
    expect(found.tokens).toBe(12);
    const { layers, ...gradients } = found.gradients;
    const measured = {
      ...found,
      effectiveRank: found.effectiveRank.rank,
      effectiveRankOfFirst: ofFirst.effectiveRank.rank,
      removal: found.removal.loss,
      exchange: found.exchange.loss,
      exits: found.exits.loss,
      updates: { ...found.updates, layers: found.updates!.layers.map(({ all }) => all) },
      gradients: {
        ...gradients,
        layers: layers.map(({ all }) => all),
        matrices: layers.map(({ matrices }) => matrices),
        queries: layers.map(({ q_proj }) => q_proj!),
      },
    };
    // The weights of the loss are float32 on every backend.
    const tolerance = Math.max(5 * bound, 1e-7);
    const { postLayers: _, ...known } = expected;
    for (const [key, value] of Object.entries(known)) {
      const own = numbersIn(measured[key as keyof typeof known], value);
      expect(largestDifference(own, numbersIn(value)), key).toBeLessThan(tolerance);
    }
  });
});

/** All numbers of nested lists and objects, in the order of `like`. */
function numbersIn(value: unknown, like: unknown = value): number[] {
  if (typeof like === 'number') return [value as number];
  return Object.entries(like as object).flatMap(([key, child]) =>
    numbersIn((value as Record<string, unknown>)[key], child),
  );
}

/** By another script, at 24 layers; README.md beside it says of which model. */
const golden = join(import.meta.dirname, '../../../shared/reference/golden-depth/init.json');

interface GoldenDepth {
  loss: number;
  gradientNorm: number;
  embeddingGradient: number;
  headGradient: number;
  finalNormGradient: number;
  layerGradients: Record<string, number>[];
  streamRms: number[];
  angularLast: number[][];
  angularAll: number[][];
  lossWithout: number[];
  lossAtExit: number[];
}

describe.skipIf(!existsSync(golden))('24 layers at initialisation (../shared)', () => {
  const postLayers = { pre: 0, mix: 6, post: 24 };
  const shape = { vocabSize: 256, hiddenSize: 32, intermediateSize: 88, layers: 24, heads: 4, kvHeads: 4, headDim: 8 };
  let backend: Backend;
  beforeAll(async () => {
    ({ backend } = await openBackend({ precision: 'f32' }));
  });
  afterAll(() => backend.dispose());

  test.each(Object.entries(postLayers))('%s', async (name, count) => {
    const { rows, init } = JSON.parse(await readFile(golden, 'utf8')) as {
      rows: number[][];
      init: Record<string, GoldenDepth>;
    };
    const config = { ...shape, ...rest, family, norm: normOf(name, count) };
    const model: Model = await initialiseModel(config, backend, 1);
    const found = await analyze(model, rows.map(sequenceOf));
    releaseModel(model);
    const expected = init[name]!;
    const measured = inTheirWords(found);
    for (const key of Object.keys(measured) as (keyof GoldenDepth)[]) {
      const ours = numbersIn(measured[key], expected[key]);
      const ratios = numbersIn(expected[key]).map((value, i) => (value === 0 && ours[i] === 0 ? 1 : ours[i]! / value));
      const off = largestDifference(
        ratios,
        ratios.map(() => 1),
      );
      expect(off, key).toBeLessThan(1e-5);
    }
  });
});

function inTheirWords({ gradients, ...found }: DepthAnalysis): GoldenDepth {
  return {
    loss: found.loss,
    gradientNorm: gradients.all,
    embeddingGradient: gradients.embedding,
    headGradient: gradients.head!,
    finalNormGradient: gradients.finalNorm,
    layerGradients: gradients.layers,
    streamRms: found.streamRms,
    angularLast: found.angular.last,
    angularAll: found.angular.all,
    lossWithout: found.removal.loss,
    lossAtExit: found.exits.loss,
  };
}
