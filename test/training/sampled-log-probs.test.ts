import { expect, test } from 'vitest';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { RandomStream } from '../../src/random.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { ofEachResponse, responseLogProbs } from '../../src/training/responses.ts';
import { rollOut } from '../../src/training/rollout.ts';

const { available } = await nativeAvailability();

test.runIf(available).each(['f32', 'bf16'] as const)(
  'decoding rounds where training does: sampled log-probabilities are those that training computes, in %s',
  async (precision) => {
    const backend = await createNativeBackend({ precision });
    const config = { ...presetConfig('1m'), vocabSize: 300, layers: 6 };
    const model = await initialiseModel(config, backend, 1, { std: 0.1, embeddingStd: 1 });
    const random = new RandomStream(1, 'prompts');
    const prompts = [1, 5, 9, 40, 70].map((length, row) => {
      return { row, tokens: Int32Array.from({ length }, () => random.integer(config.vocabSize)) };
    });
    const options = { temperature: 1, maxNewTokens: 60, endIds: [], seed: 1 };
    const rollouts = await rollOut(model, prompts, options);
    const trained = await ofEachResponse(rollouts, (packed) => responseLogProbs(model, packed, 1));
    const differences = rollouts.flatMap(({ sampledLogProbs }, i) =>
      Array.from(sampledLogProbs, (logProb, t) => Math.abs(logProb - trained[i]![t]!)),
    );
    const mean = differences.reduce((a, b) => a + b, 0) / differences.length;
    console.log(
      `${precision}: ${mean.toExponential(1)} on average, ${Math.max(...differences).toExponential(1)} at most`,
    );
    // Without products of bfloat16 the two sum in another order, and now and then an operand rounds the other way.
    const sumsAlike = precision === 'f32' || backend.instructionSet.includes('bfloat16');
    expect(mean).toBeLessThan(sumsAlike ? 1e-4 : 3e-3);
    releaseModel(model);
    await backend.dispose();
  },
);
