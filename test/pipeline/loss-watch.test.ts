import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { watchLoss } from '../../src/pipeline/loss-watch.ts';
import { openRecordLog } from '../../src/runs/record-log.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-watch-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const totalSteps = 200;
const entropy = 5;
/** Learns, and at step 100 jumps to the unigram entropy. */
const lossAt = (step: number): number => (step < 100 ? 3 + 3 / step : entropy);

/** What is warned of, with the step, in a run from `first` on. */
async function warnings(first: number): Promise<[number, string][]> {
  const file = join(folder, 'metrics.jsonl');
  const before = Array.from({ length: first - 1 }, (_, i) => ({ type: 'step', step: i + 1, loss: lossAt(i + 1) }));
  await writeFile(file, before.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const told: [number, string][] = [];
  let step = 0;
  const outlook = { steps: totalSteps, unigramEntropy: entropy };
  const warn = (message: string) => void told.push([step, message]);
  const see = await watchLoss({ outlook, metrics: openRecordLog(file, warn), warn });
  for (step = first; step <= totalSteps; step++) see({ step, totalSteps, loss: lossAt(step) });
  return told;
}

it('warns once of a loss that jumped, and once of where it stays, at the first look at which that lasts', async () => {
  expect(await warnings(1)).toEqual([
    [104, 'the loss rose from 3.03 to 5.00 at step 100 and did not come back; lower lr, lengthen warmup or set clip'],
    [140, expect.stringMatching(/^the loss sits on the unigram entropy, 5\.00 nats, since step 100: .*; lower lr/)],
  ]);
});

it('warns of nothing twice when the run is stopped and goes on', async () => {
  expect((await warnings(110)).map(([step]) => step)).toEqual([140]);
  expect(await warnings(160)).toEqual([]);
});

it('says nothing of stages that do not tell what their loss is', async () => {
  const silent = await watchLoss({
    outlook: { steps: totalSteps },
    metrics: openRecordLog(join(folder, 'none.jsonl'), () => {}),
    warn: (message) => expect.fail(message),
  });
  for (let step = 1; step <= totalSteps; step++) silent({ step, loss: lossAt(step) });
});
