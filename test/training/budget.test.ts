import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { trainingFlops } from '../../src/model/flops.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { unequalBudgets } from '../../src/runs/unequal-budgets.ts';
import { requireEqualBudgets } from '../../src/stages/equal-budgets.ts';
import { type Budget, nothingSpent, spend, spendPrompts, spendResponses } from '../../src/training/budget.ts';

const row = (tokens: number[], trained: number[]) => ({
  tokens: Int32Array.from(tokens),
  trained: Uint8Array.from(trained),
});
const sizes = { hiddenSize: 8, intermediateSize: 16, heads: 2, kvHeads: 2, headDim: 4, layers: 3, vocabSize: 50 };
const optimizer = { model: { config: { ...presetConfig('1m'), ...sizes } } };
const rows = [row([1, 2, 3], [0, 1, 1]), row([4, 5], [0, 1])];

function spent(...windows: (typeof rows)[]): Budget {
  const state = { optimizer, budget: nothingSpent };
  for (const window of windows) spend(state, window);
  return state.budget;
}

describe('what updates learn from', () => {
  it('is counted in tokens and in operations of matrices and attention', () => {
    // 6 for each weight: of attention 4 · 8² and of the MLP 3 · 8 · 16 in each layer, and of the head.
    const perToken = 6 * (3 * (4 * 64 + 3 * 128) + 50 * 8);
    expect(spent(rows, rows)).toMatchObject({
      tokens: 10,
      trainedTokens: 6,
      flops: 2 * (5 * perToken + 12 * 3 * 8 * (9 + 4)),
    });
  });

  it('is the same for placements with more norms, which are no matrices', () => {
    const sandwich = withPlacement(optimizer.model.config, 'sandwich');
    const hybrid = { ...withPlacement(optimizer.model.config, 'hybrid'), normKind: 'layer' };
    for (const config of [sandwich, hybrid])
      expect(trainingFlops(config, [7])).toBe(trainingFlops(optimizer.model.config, [7]));
  });

  it('has a digest of the rows in their order: the hash of the one before, of lengths and of bytes', () => {
    const hash = createHash('sha256')
      .update(nothingSpent.batches)
      .update(Uint32Array.of(12, 3, 8, 2));
    for (const { tokens, trained } of rows) hash.update(tokens).update(trained);
    expect(spent(rows).batches).toBe(hash.digest('hex'));
    const others = [
      spent(rows, rows),
      spent([rows[1]!, rows[0]!]),
      spent([rows[0]!], [rows[1]!]),
      spent([row([1, 2, 3], [0, 0, 1]), rows[1]!]),
      spent([row([1, 2, 9], [0, 1, 1]), rows[1]!]),
    ].map(({ batches }) => batches);
    expect(new Set([...others, spent(rows).batches]).size).toBe(6);
  });

  it('is the prompts where responses are sampled, whatever these are', () => {
    const state = { optimizer, budget: nothingSpent };
    spendPrompts(state, rows);
    const { batches } = state.budget;
    const response = { row: 0, ended: true, sampledLogProbs: new Float64Array(2) };
    spendResponses(state, [{ ...response, prompt: rows[0]!.tokens, response: Int32Array.of(7, 8) }], 3);
    expect(state.budget).toMatchObject({ prompts: 2, tokens: 15, trainedTokens: 6, batches });
  });
});

describe('budgets of variants', () => {
  const budget = { steps: 4, ...spent(rows) };
  const runs = (...budgets: (typeof budget | undefined)[]) =>
    budgets.map((own, i) => ({ stage: 'sft', variant: ['pre', 'mix', 'post'][i], seed: 1, budget: own }));

  it('are equal, or differ in steps, tokens, or the rows alone; what was not recorded is not compared', () => {
    expect(unequalBudgets(runs(budget, budget, undefined))).toEqual([]);
    expect(unequalBudgets(runs(budget, { ...budget, steps: 1500, tokens: 6 }))).toEqual([
      'sft, pre and mix: 4 and 1,500 steps, 5 and 6 tokens (seed 1)',
    ]);
    const other = { ...budget, batches: 'f'.repeat(64) };
    const seeds = [1, 2, 3].flatMap((seed) => runs(budget, undefined, other).map((run) => ({ ...run, seed })));
    expect(unequalBudgets(seeds)).toEqual([
      'sft, pre and post: other rows or another order of them (seed 1 and 2 more)',
    ]);
  });

  it('of stages that sample their responses are those of prompts', () => {
    const sampled = { ...budget, prompts: 8 };
    expect(unequalBudgets(runs(sampled, { ...sampled, tokens: 99, trainedTokens: 9 }))).toEqual([]);
    expect(unequalBudgets(runs(sampled, { ...sampled, batches: 'f'.repeat(64) }))).toEqual([
      'sft, pre and mix: other prompts (seed 1)',
    ]);
  });
});

describe('a comparison', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixtune-budgets-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function model(variant: string, done: object) {
    await mkdir(join(folder, variant));
    await writeFile(join(folder, variant, 'metrics.jsonl'), `${JSON.stringify({ type: 'done', step: 4, ...done })}\n`);
    return { name: 'sft', variant, seed: 1, directory: join(folder, variant, 'final') };
  }

  it('refuses variants whose budgets differ, and not runs that recorded none', async () => {
    const budget = { steps: 4, ...spent(rows) };
    const [pre, mix, old] = [
      await model('pre', { budget }),
      await model('mix', { budget: { ...budget, steps: 5 } }),
      await model('old', {}),
    ];
    await expect(requireEqualBudgets([pre!, old!])).resolves.toBeUndefined();
    await expect(requireEqualBudgets([pre!, mix!, old!])).rejects.toThrow(
      /of: budgets differ after sft, pre and mix: 4 and 5 steps \(seed 1\)\n.*hint: .*`budgets: any`/,
    );
  });
});
