import { expect, it } from 'vitest';
import { roughly } from '../../src/cli/plan-effort.ts';
import { pretrainSchema, pretrainStage } from '../../src/stages/pretrain.ts';

const work = (keys: object, read = {}) =>
  pretrainStage.work!(pretrainSchema.parse({ tokenizer: 't', data: 'd', ...keys }), read);

it('knows the tokens of pre-training by its steps, and its operations by the size of the vocabulary', () => {
  const keys = { model: '71m', steps: 10_000, batchSize: 32, accumulate: 16, length: 256 };
  // 6 × (70,578,688 − 16,384,000 of the embedding − 25 norms of 512) + 12 × 12 layers × 512 × 256 operations a token.
  const perToken = 6 * (70_578_688 - 16_384_000 - 25 * 512) + 12 * 12 * 512 * 256;
  expect(work(keys)).toEqual({ tokens: 1_310_720_000, flops: 1_310_720_000 * perToken });
  const smaller = work(keys, { tokenizer: [{ vocabSize: 8192 }] })!;
  expect(smaller.flops).toBe(1_310_720_000 * (perToken - 6 * 512 * (32_000 - 8192)));
  expect(work({ epochs: 2 })).toBeUndefined();
});

it('tells a time in two digits', () => {
  expect([48.2, 754, 690_000].map(roughly)).toEqual(['48 s', '13 min', '190 h']);
});
