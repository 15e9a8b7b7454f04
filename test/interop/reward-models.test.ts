import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeModelDirectory } from '../../src/checkpoint/model-directory.ts';
import { loadRewardModel } from '../../src/checkpoint/reward-model.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { rewardScores } from '../../src/training/reward.ts';
import { python, transformersReleases } from './environment.ts';
import { inTemporaryFolder, randomWeights, tinyConfig, tokens } from './tiny-models.ts';

interface TheirScores {
  transformers: string;
  class: string;
  report: Record<string, string[]>;
  warnings: string[];
  scores: number[];
}

const { backend } = await openBackend({ precision: 'f32' });

/** Texts of several lengths; one ends with the token that rows of transformers are padded behind. */
const texts = [tokens, tokens.slice(0, 5), [...tokens, 2], [7]];
const rewardConfig: ModelConfig = { ...tinyConfig, head: 'score' };
const cases = ['pre', 'mix', 'lns', 'peri', 'deepnorm'].map((name) => withPlacement(rewardConfig, name));

async function ourScores(directory: string): Promise<number[]> {
  const reward = await loadRewardModel(directory, backend);
  const rewards = await rewardScores(
    reward,
    texts.map((text) => Int32Array.from(text)),
  );
  return rewards.map((value) => value - reward.offset);
}

function expectSameScores(ours: readonly number[], theirs: readonly number[]): void {
  expect(theirs).toHaveLength(ours.length);
  for (const [i, score] of ours.entries()) expect(Math.abs(score - theirs[i]!), `text ${i}`).toBeLessThan(1e-4);
  expect(new Set(ours).size).toBe(ours.length);
}

test.each(transformersReleases)('transformers %s gives texts the raw scores that we give', (release) =>
  inTemporaryFolder(async (folder) => {
    const directories = cases.map(({ norm }) => join(folder, norm.name));
    for (const [i, config] of cases.entries()) {
      await mkdir(directories[i]!);
      const read = randomWeights(config);
      await writeModelDirectory(directories[i]!, {
        config,
        dtype: 'f32',
        read,
        eosIds: [2],
        padId: 1,
        rewardOffset: 3,
      });
    }
    const theirs = await python<TheirScores[]>(release, 'run_reward.py', [
      'read',
      JSON.stringify(texts),
      ...directories,
    ]);
    for (const [i, directory] of directories.entries()) {
      const { scores, ...reading } = theirs[i]!;
      expect(reading).toEqual({
        transformers: release,
        class: cases[i]!.norm.name === 'pre' ? 'LlamaForSequenceClassification' : 'MixLNForSequenceClassification',
        report: {},
        warnings: [],
      });
      expectSameScores(await ourScores(directory), scores);
    }
  }),
);

test.each(transformersReleases)('a reward model that transformers %s wrote scores here as it does there', (release) =>
  inTemporaryFolder(async (folder) => {
    const [theirs] = await python<TheirScores[]>(release, 'run_reward.py', ['write', JSON.stringify(texts), folder]);
    expectSameScores(await ourScores(folder), theirs!.scores);
  }),
);
