import { afterAll, describe, expect, test } from 'vitest';
import { collect, generate } from '../../src/generation/generate.ts';
import { greedy, unfiltered } from '../../src/generation/sampler.ts';
import { openSession } from '../../src/generation/session.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { meanLoss } from '../../src/training/language-model.ts';
import { rewardScores } from '../../src/training/reward.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';
import { pre } from '../checkpoint/made-models.ts';

const opened = [await openBackend({ precision: 'f32' }), await openBackend({ backend: 'portable' })];
afterAll(async () => {
  for (const { backend } of opened) await backend.dispose();
});

describe.each(opened.map(({ backend }) => [backend.name, backend] as const))(
  'a model that overflows on %s',
  (_, backend) => {
    /** The token 7 has an embedding of NaN. */
    async function overflowing(head: 'language' | 'score'): Promise<Model> {
      const config = { ...pre, ...(head === 'score' ? { head } : {}) };
      const model = await initialiseModel(config, backend, 1);
      const embedding = model.parameters.get('model.embed_tokens.weight')!;
      backend.write(embedding, new Float32Array(pre.hiddenSize).fill(Number.NaN), 7 * pre.hiddenSize);
      return model;
    }
    // Without a kernel, attention over packed texts multiplies what it masks by 0: NaN of one reaches those beside it.
    const place = backend.name === 'native' ? '2' : '[12]';
    const sequence = (...tokens: number[]) => ({ tokens: Int32Array.from(tokens), trained: new Uint8Array([0, 1, 1]) });
    const good = sequence(1, 2, 3);
    const bad = sequence(1, 7, 3);

    test('is said to be by generation, with prompt and token', async () => {
      const model = await overflowing('language');
      const prompts = [good.tokens, bad.tokens];
      for (const sampling of [greedy, unfiltered]) {
        await expect(generate(model, prompts, { maxNewTokens: 3, stopIds: [], sampling })).rejects.toThrow(
          'the logits of token 1 after prompt 2 are not finite numbers',
        );
      }
      // Nothing is left behind: what comes next is as always.
      const [fine] = await generate(model, [Int32Array.of(1)], { maxNewTokens: 1, stopIds: [] });
      expect(fine!.tokens).toHaveLength(1);
      releaseModel(model);
    });

    test('ends its own text and no other of a session', async () => {
      const model = await overflowing('language');
      const session = openSession(model, { sequences: 2, capacity: 8 });
      const request = { maxNewTokens: 5, stopIds: [7] };
      const alone = await collect(session.submit({ ...request, prompt: good.tokens }));
      const [damaged, beside] = [bad, good].map(({ tokens }) => session.submit({ ...request, prompt: tokens }));
      const [refused, together] = await Promise.allSettled([collect(damaged!), collect(beside!)]);
      expect(refused).toMatchObject({
        reason: { message: expect.stringMatching('token 1 after the prompt are not finite numbers') },
      });
      expect(together).toEqual({ status: 'fulfilled', value: alone });
      // The place that NaN was in is taken by another.
      const after = [good, good].map(({ tokens }) => collect(session.submit({ ...request, prompt: tokens })));
      expect(await Promise.all(after)).toEqual([alone, alone]);
      await session.release();
      releaseModel(model);
    });

    test('is said to be by losses and log-probabilities, with the texts', async () => {
      const model = await overflowing('language');
      await expect(meanLoss(model, [good, good, bad, good], 2)).rejects.toThrow('texts 3 to 3 are not finite numbers');
      await expect(logLikelihoods(model, [good, bad])).rejects.toThrow(
        new RegExp(`text ${place} are not finite numbers`),
      );
      expect(await logLikelihoods(model, [good])).toHaveLength(1);
      releaseModel(model);
    });

    test('is said to be by rewards, with the text', async () => {
      const model = await overflowing('score');
      const texts = [good.tokens, bad.tokens];
      await expect(rewardScores({ model, offset: 0 }, texts)).rejects.toThrow(
        /scores of text [12] are not finite numbers/,
      );
      releaseModel(model);
    });
  },
);
