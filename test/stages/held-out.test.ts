import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metricKind } from '../../src/evaluation/metrics.ts';
import { stages } from '../../src/stages/index.ts';
import { type SmallWorld, smallWorld } from './small-world.ts';

/** What each stage says it measures on held-out rows is what it measures, whatever its config. */
let world: SmallWorld;

beforeAll(async () => {
  world = await smallWorld();
}, 60_000);

afterAll(() => world.close());

const split = { holdOut: 0.25, maxLength: 64 };
const pairs = { from: 'start', data: 'pairs.jsonl', ...split };
const prompts = { from: 'start', data: 'prompts.jsonl', holdOut: 0.25, batchSize: 2, maxNewTokens: 4 };

const configs: [stage: string, config: object, missing?: readonly string[]][] = [
  ['pretrain', { tokenizer: 'start', model: '1m', data: 'text.txt', holdOut: 0.25, length: 16 }],
  ['sft', { from: 'start', data: 'messages.jsonl', ...split }],
  ['reward', pairs, ['accuracyWhenLonger', 'accuracyWhenShorter']],
  ...['dpo', 'ipo', 'hinge', 'orpo', 'simpo'].map((loss): [string, object] => ['dpo', { ...pairs, loss }]),
  ['dpo', { ...pairs, loss: 'kto' }],
  ...['ppo', 'rloo', 'grpo'].flatMap((stage): [string, object][] => [
    [stage, { ...prompts, verify: 'exact' }],
    [stage, { ...prompts, reward: 'reward' }],
    [stage, { ...prompts, verify: 'number', reward: 'reward', rewardFunction: 'length.js' }],
  ]),
];

it('covers every stage that evaluates, and every metric of a stage has a label of its own', () => {
  const evaluating = stages.filter(({ evaluate }) => evaluate).map(({ name }) => name);
  expect([...new Set(configs.map(([stage]) => stage))].sort()).toEqual(evaluating.sort());
  expect(stages.filter(({ evaluate, heldOut }) => (evaluate === undefined) !== (heldOut === undefined))).toEqual([]);
});

describe('the metrics that are declared are those that are measured', () => {
  it.each(configs)(
    '%s %j',
    async (name, config, maybe = []) => {
      const stage = stages.find((candidate) => candidate.name === name)!;
      const opened = await world.open(stage, config);
      const measured = await stage.evaluate!(opened.config, opened.state, opened.run);
      stage.close?.(opened.state);
      const declared: readonly string[] = stage.heldOut!(opened.config as never);
      const always = (names: readonly string[]) => names.filter((metric) => !maybe.includes(metric)).sort();
      expect(always(Object.keys(measured))).toEqual(always(declared));
      for (const metric of maybe) expect(declared).toContain(metric);
      expect(Object.values(measured).every(Number.isFinite)).toBe(true);
    },
    30_000,
  );
});

it.each([
  ['loss', 'lower'],
  ['perplexity', 'lower'],
  ['nll', 'lower'],
  ['calibrationError', 'lower'],
  ['accuracy', 'higher'],
  ['accuracyWhenLonger', 'higher'],
  ['accuracyWhenShorter', 'higher'],
  ['margin', 'higher'],
  ['reward', 'higher'],
  ['verifiedReward', 'higher'],
  ['schemaReward', 'higher'],
  ['functionReward', 'higher'],
  ['lengthAccuracy', undefined],
  ['responseLength', undefined],
  ['endRate', undefined],
  ['kl', undefined],
])('of %s, %s is better', (metric, better) => {
  expect(metricKind(metric).better).toBe(better);
});

describe('before the first step', () => {
  it('a stage knows how many steps there are, and the memory that they take grows with their tokens', async () => {
    const sft = stages.find(({ name }) => name === 'sft')!;
    const bytes: number[] = [];
    for (const batchSize of [1, 4]) {
      const opened = await world.open(sft, { from: 'start', data: 'messages.jsonl', batchSize, epochs: 2 });
      const outlook = sft.outlook!(opened.config, opened.state);
      expect(outlook.steps).toBe((2 * 12) / batchSize);
      bytes.push(outlook.bytes ?? 0);
      sft.close?.(opened.state);
    }
    if (world.backend.name === 'native') expect(bytes[1]).toBeGreaterThan(bytes[0]!);
  }, 30_000);

  it.each(['dpo', 'kto'])(
    '%s asks the reference only for rows that its steps will use',
    async (loss) => {
      const dpo = stages.find(({ name }) => name === 'dpo')!;
      const config = { from: 'start', data: 'pairs.jsonl', loss, batchSize: 2, steps: 2 };
      const opened = await world.open(dpo, config);
      const answers = loss === 'kto' ? 4 : 8;
      expect(opened.logged.join('\n')).toContain(`reference log-probabilities of ${answers} answers`);
      const steps = dpo.run(opened.config, opened.state, opened.run);
      for (const step of [1, 2]) expect((await steps.next()).value).toMatchObject({ step, loss: expect.any(Number) });
      dpo.close?.(opened.state);
    },
    30_000,
  );
});
