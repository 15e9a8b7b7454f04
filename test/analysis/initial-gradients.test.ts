import { afterAll, beforeAll, expect, test } from 'vitest';
import { gradients } from '../../src/analysis/gradients.ts';
import { packSequences } from '../../src/data/batch.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { withSizes } from '../../src/model/sizes.ts';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { thorough } from '../thorough.ts';

let backend: Backend;
beforeAll(async () => {
  ({ backend } = await openBackend({ precision: 'f32' }));
});
afterAll(() => backend.dispose());

const random = new RandomStream(1, 'ids');
const sequences = Array.from({ length: 2 }, () => ({
  tokens: Int32Array.from({ length: 257 }, () => random.integer(512)),
  trained: new Uint8Array(257).fill(1, 1),
}));

/** Norms of the gradient of the matrices of each of 24 layers as the authors initialise them, first to last. */
async function matrixNorms(norm: string, hiddenSize: number): Promise<number[]> {
  const sized = withSizes(presetConfig('1m'), { layers: 24, hiddenSize });
  const model = await initialiseModel(withPlacement(sized, norm), backend, 1);
  const running = gradients.begin(model, undefined);
  const batch = packSequences(sequences);
  await running.add({ sequences, batch, streams: [], totalTokens: batch.trainedTokens });
  const { layers } = await running.result();
  running.release!();
  releaseModel(model);
  return layers.map(({ matrices }) => matrices);
}

/** By another script, on other ids: what is drawn moves them by some hundredths. */
const lastOverFirst: [hiddenSize: number, ratios: Record<string, number>][] = [
  [128, { pre: 1, mix: 1.01, post: 1.02 }],
  [512, { pre: 0.63, mix: 0.83, post: 0.91 }],
];

test.runIf(thorough).each(lastOverFirst)(
  'hidden %i: from the first to the last layer gradients change by %o',
  async (width, expected) => {
    const ratios: number[] = [];
    for (const [norm, ratio] of Object.entries(expected)) {
      const norms = await matrixNorms(norm, width);
      ratios.push(norms.at(-1)! / norms[0]!);
      expect(ratios.at(-1), norm).toBeCloseTo(ratio, 1);
    }
    expect(ratios).toEqual(ratios.toSorted((a, b) => a - b));
  },
  600_000,
);
