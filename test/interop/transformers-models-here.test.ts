import { join } from 'node:path';
import { expect, test } from 'vitest';
import { python, transformersReleases } from './environment.ts';
import { inTemporaryFolder, largestDifference, ourReading, tinyConfig, tokens } from './tiny-models.ts';

const common = { ...tinyConfig, layers: 3, kvHeads: 6, ropeTheta: 5000, rmsNormEps: 1e-6, maxLength: 2048 };

/** What each directory of `make_llama.py` must be read as. */
const configs = {
  plain: common,
  grouped: { ...common, kvHeads: 2, rmsNormEps: 1e-5, maxLength: 99 },
  tied: { ...common, tieWordEmbeddings: true },
  'wide-heads': { ...common, headDim: 16, kvHeads: 3 },
  sharded: common,
  bf16: common,
};

test.each(transformersReleases)('models of transformers %s have the same config and logits here', (release) =>
  inTemporaryFolder(async (folder) => {
    const args = [folder, JSON.stringify(tokens)];
    const theirs = await python<Record<string, number[][]>>(release, 'make_llama.py', args);
    for (const [name, config] of Object.entries(configs)) {
      const ours = await ourReading(join(folder, name));
      expect.soft(ours.config, name).toEqual(config);
      expect.soft(largestDifference(ours.logits, theirs[name]!), name).toBeLessThan(1e-4);
    }
  }),
);
