import { afterAll, beforeAll, expect, it } from 'vitest';
import { analyze } from '../../src/analysis/analyze.ts';
import { pretrainStage } from '../../src/stages/pretrain.ts';
import type { StepRecord } from '../../src/stages/stage.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

let world: SmallWorld;
beforeAll(async () => {
  world = await smallWorld();
});
afterAll(() => world.close());

const options = { tokenizer: 'start', data: 'text.txt', model: '1m', norm: 'mix', length: 16, batchSize: 4, steps: 5 };

async function trained(more: object): Promise<{ records: StepRecord[]; weights: string }> {
  const { config, state, run } = await world.open(pretrainStage, { ...options, ...more });
  const records: StepRecord[] = [];
  for await (const record of pretrainStage.run(config, state, run)) records.push(record as StepRecord);
  const weights = await world.weightsOf(state.optimizer.model);
  pretrainStage.close!(state);
  return { records, weights };
}

const normsIn = (record: StepRecord) => Object.entries(record).filter(([name]) => name.startsWith('gradientNorm/'));

it('records the gradient of each layer at the first step and every so many, and trains the same bits', async () => {
  const [plain, recorded] = [await trained({}), await trained({ recordGradients: 2 })];
  expect(recorded.weights).toBe(plain.weights);
  const names = ['embedding', 'layers.0', 'layers.1', 'layers.2', 'layers.3', 'finalNorm', 'head'];
  for (const [i, record] of recorded.records.entries()) {
    const norms = normsIn(record);
    const isDue = [1, 2, 4].includes(record.step);
    expect(norms.map(([name]) => name)).toEqual(isDue ? names.map((name) => `gradientNorm/${name}`) : []);
    if (isDue) expect(Math.hypot(...norms.map(([, norm]) => norm!)) / record.gradientNorm!).toBeCloseTo(1, 5);
    expect(record).toMatchObject(plain.records[i]!);
  }
});

it('records what analyze finds of the window that the step learned from', async () => {
  const { state } = await world.open(pretrainStage, options);
  const { optimizer, cursor, windows } = state;
  const window = cursor.next(4).flatMap((row) => windows[row]!);
  const { embedding, layers, finalNorm, head } = (await analyze(optimizer.model, window)).gradients;
  pretrainStage.close!(state);
  const expected = [embedding, ...layers.map(({ all }) => all), finalNorm, head!];
  const norms = normsIn((await trained({ recordGradients: 100 })).records[0]!).map(([, norm]) => norm!);
  expect(norms.map((norm, i) => norm / expected[i]!)).toEqual(expected.map(() => expect.closeTo(1, 4)));
});
