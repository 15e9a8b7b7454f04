import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type Sequence, trainedTokensOf } from '../data/batch.ts';
import type { ModelConfig } from '../model/config.ts';
import { trainingFlops } from '../model/flops.ts';
import type { Rollout } from './rollout.ts';

type Numbers = Int32Array | Uint8Array;

const count = z.number().nonnegative();

export const budgetSchema = z.strictObject({
  /** Tokens of all rows that updates were computed from, each time that they were. */
  tokens: count,
  /** Those of them whose prediction, or score, was learned from. */
  trainedTokens: count,
  /** Operations that the model asks for, forward and backward, for these tokens. */
  flops: count,
  /** Prompts to which responses were sampled. */
  prompts: count.optional(),
  /** SHA-256 over the rows of all updates in their order, or where responses are sampled over the prompts. */
  batches: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * What training has spent so far. It is part of the state, so a run that was stopped and resumed comes to the same.
 */
export type Budget = z.infer<typeof budgetSchema>;

/** What counts a budget, and the model that it is spent on; a state that an older version saved has none. */
interface Spender {
  budget?: Budget | undefined;
  optimizer: { model: { config: ModelConfig } };
}

export const nothingSpent: Budget = { tokens: 0, trainedTokens: 0, flops: 0, batches: '0'.repeat(64) };

/** Counts the rows that the next update learns from; `labels` is what they are learned with besides their tokens. */
export function spend(state: Spender, rows: readonly Sequence[], labels: Numbers[] = []): void {
  if (!state.budget) return;
  const lengths = rows.map(({ tokens }) => tokens.length);
  const arrays = rows.flatMap(({ tokens, trained }) => [tokens, trained]);
  const { tokens, trainedTokens, flops, batches } = state.budget;
  state.budget = {
    tokens: tokens + sum(lengths),
    trainedTokens: trainedTokens + sum(rows.map(trainedTokensOf)),
    flops: flops + trainingFlops(state.optimizer.model.config, lengths),
    batches: chained(batches, [...arrays, ...labels]),
  };
}

/** Counts prompts that responses were sampled to, each once. */
export function spendPrompts(state: Spender, prompts: readonly { tokens: Int32Array }[]): void {
  if (!state.budget) return;
  const { prompts: before = 0, batches } = state.budget;
  const tokens = prompts.map((prompt) => prompt.tokens);
  state.budget = { ...state.budget, prompts: before + prompts.length, batches: chained(batches, tokens) };
}

/** Counts responses that a policy learned from in so many passes. */
export function spendResponses(state: Spender, responses: readonly Rollout[], passes: number): void {
  if (!state.budget) return;
  const lengths = responses.map(({ prompt, response }) => prompt.length + response.length);
  const { tokens, trainedTokens, flops } = state.budget;
  state.budget = {
    ...state.budget,
    tokens: tokens + passes * sum(lengths),
    trainedTokens: trainedTokens + passes * sum(responses.map(({ response }) => response.length)),
    flops: flops + passes * trainingFlops(state.optimizer.model.config, lengths),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** A hash of all that came before and of these arrays, whose lengths count too. */
function chained(before: string, arrays: readonly Numbers[]): string {
  const hash = createHash('sha256')
    .update(before)
    .update(Uint32Array.from(arrays, ({ byteLength }) => byteLength));
  for (const array of arrays) hash.update(array);
  return hash.digest('hex');
}

/** As it stands in the last record of a run. */
export const spentSchema = budgetSchema.extend({ steps: count });

export type SpentBudget = z.infer<typeof spentSchema>;

/**
 * In what two runs of a stage differ that are to be compared, in words: steps and rows or, where each samples its own
 * responses, steps and prompts.
 */
export function budgetDifferences(a: SpentBudget, b: SpentBudget): string[] {
  const sampled = a.prompts !== undefined;
  const compared = sampled ? (['steps', 'prompts'] as const) : (['steps', 'tokens', 'trainedTokens'] as const);
  const inWords = (value = 0) => value.toLocaleString('en');
  const differing = compared.filter((name) => a[name] !== b[name]);
  if (differing.length > 0)
    return differing.map((name) => `${inWords(a[name])} and ${inWords(b[name])} ${names[name]}`);
  return a.batches === b.batches ? [] : [`other ${sampled ? 'prompts' : 'rows or another order of them'}`];
}

const names = { steps: 'steps', tokens: 'tokens', trainedTokens: 'trained tokens', prompts: 'prompts' } as const;
