import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import { dpoStage } from '../../src/stages/dpo.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import { sftStage } from '../../src/stages/sft.ts';
import { meanLoss } from '../../src/training/language-model.ts';
import { evaluatePairs, type PairObjective, type ReferencedPair } from '../../src/training/preference.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

let world: SmallWorld;
beforeAll(async () => {
  world = await smallWorld();
});
afterAll(() => world.close());

const textsOf = (rows: readonly Sequence[]) => rows.map(({ tokens }) => tokens.join());

/** None of the held-out rows is trained on. */
function expectApart(train: readonly Sequence[], heldOut: readonly Sequence[]): void {
  expect(new Set([...textsOf(train), ...textsOf(heldOut)]).size).toBe(train.length + heldOut.length);
}

test('sft is evaluated on the rows that it holds out, as many as evalRows says', async () => {
  const config = { from: 'start', data: 'messages.jsonl', holdOut: 0.25, evalRows: 2 };
  const { config: parsed, state, run } = await world.open(sftStage, config);
  expect([state.rows.length, state.heldOut.length, state.cursor.rows]).toEqual([9, 3, 9]);
  expectApart(state.rows, state.heldOut);
  const { loss } = await meanLoss(state.optimizer.model, state.heldOut.slice(0, 2));
  const metrics = await sftStage.evaluate!(parsed, state, run);
  expect(metrics).toEqual({ loss, perplexity: Math.exp(loss) });
  sftStage.close!(state);
});

test('pretrain is evaluated on the windows that it holds out, as many as evalRows says', async () => {
  const data = { tokenizer: 'start', data: 'text.txt', model: '1m', norm: 'pre', length: 16 };
  const { config, state, run } = await world.open(pretrainStage, { ...data, holdOut: 0.25, evalRows: 2 });
  expect(state.heldOut.length).toBeGreaterThan(2);
  expect(state.cursor.rows).toBe(state.windows.length);
  const { loss } = await meanLoss(state.optimizer.model, state.heldOut.slice(0, 2).flat());
  expect(await pretrainStage.evaluate!(config, state, run)).toEqual({ loss, perplexity: Math.exp(loss) });
  pretrainStage.close!(state);
});

test('dpo is evaluated on the pairs that it holds out', async () => {
  const config = { from: 'start', data: 'pairs.jsonl', holdOut: 0.25 };
  const { config: parsed, state, run } = await world.open(dpoStage, config);
  const [train, heldOut] = [state.data.train, state.data.heldOut] as (readonly ReferencedPair[])[];
  expect([train!.length, heldOut!.length, state.cursor.rows]).toEqual([9, 3, 9]);
  const chosen = (pairs: readonly ReferencedPair[]) => pairs.map((pair) => pair.chosen);
  expectApart(chosen(train!), chosen(heldOut!));
  // Without a change all losses are ln 2.
  world.backend.fill(state.optimizer.model.parameters.get('model.norm.weight')!, 0.7);
  const { loss } = await evaluatePairs(state.optimizer.model, heldOut!, state.data.objective as PairObjective);
  expect(loss).not.toBeCloseTo(Math.LN2, 3);
  expect((await dpoStage.evaluate!(parsed, state, run)).loss).toBe(loss);
  dpoStage.close!(state);
});

test('of two answers that are equally good neither is ahead', async () => {
  const { state } = await world.open(dpoStage, { from: 'start', data: 'pairs.jsonl' });
  const [pair] = state.data.train as readonly ReferencedPair[];
  const equal = { ...pair!, rejected: pair!.chosen, reference: { chosen: -3, rejected: -3 } };
  const { metrics } = await evaluatePairs(state.optimizer.model, [equal], state.data.objective as PairObjective);
  expect([metrics.accuracy, metrics.margin]).toEqual([0.5, 0]);
  const ahead = { ...pair!, reference: { chosen: -100, rejected: -1 } };
  const judged = await evaluatePairs(state.optimizer.model, [ahead], state.data.objective as PairObjective);
  const { accuracy, margin, chosenReward, rejectedReward } = judged.metrics;
  expect(accuracy).toBe(1);
  expect(margin).toBeGreaterThan(0);
  expect(margin).toBeCloseTo(chosenReward! - rejectedReward!, 9);
  dpoStage.close!(state);
});
