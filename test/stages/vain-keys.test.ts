import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keysTable } from '../../src/config/documentation.ts';
import { flagsOf } from '../../src/config/flags.ts';
import { schemaKeys } from '../../src/config/schema-keys.ts';
import { contentsBelow } from '../../src/pipeline/contents.ts';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';
import { makePlan } from '../../src/pipeline/plan.ts';
import { idleKeys, resolveStage } from '../../src/pipeline/stage-config.ts';
import { stages } from '../../src/stages/index.ts';

type Keys = Readonly<Record<string, unknown>>;

/** A key with a value, keys with which it has no effect, and keys with which it has one. */
type Row = [key: string, value: unknown, vain: Keys, effective: Keys];

const heldOut = { heldOut: true };
const nothing = { heldOut: false };

/** `heldOut` here is no key: it says whether rows are. */
const cadence: Row[] = [
  ['evalEvery', 1, nothing, heldOut],
  ['evalRows', 8, nothing, heldOut],
  ['best', 'loss', {}, { evalEvery: 1 }],
  ['patience', 1, { evalEvery: 1 }, { evalEvery: 1, best: 'loss' }],
];
const schedule: Row[] = [
  ['epochs', 2, { steps: 3 }, {}],
  ['minLr', 0, { schedule: 'constant' }, { schedule: 'linear' }],
];
const training: Row[] = [...cadence, ...schedule, ['sampleEvery', 1, nothing, heldOut]];

const reward = './judge';
const reinforcement: Row[] = [
  ...cadence.map(([key, value, vain, effective]): Row => {
    const best = effective.best ? { best: 'reward' } : {};
    return [key, key === 'best' ? 'reward' : value, vain, { ...effective, ...best }];
  }),
  ...schedule,
  ['rewardWeight', 2, {}, { reward }],
  ['rewardWeight', 2, { verify: 'exact' }, { reward: './reward.ts' }],
  ['verifyWeight', 2, { reward }, { verify: 'number' }],
  ['jsonSchemaWeight', 2, { reward }, { jsonSchema: 'a.json' }],
  ['rewardFunctionWeight', 2, { reward }, { rewardFunction: 'a.ts' }],
  ['rewardFunctionWeight', 2, { verify: 'exact' }, { reward: 'a.ts' }],
  ['referenceMix', 0.1, {}, { referenceEvery: 2 }],
  ['pretrainWeight', 1, {}, { pretrainData: 'words.txt' }],
  ['pretrainRatio', 1, {}, { pretrainData: 'words.txt' }],
  ['pretrainLength', 64, {}, { pretrainData: 'words.txt' }],
];

const measurement: Row[] = [
  ['text', 'words.txt', { tasks: ['perplexity:a.txt'] }, { tasks: ['perplexity'] }],
  ['against', 'other', { tasks: ['town/text'] }, { tasks: ['winRate:town/questions'] }],
  ['judge', 'other', { tasks: ['town/questions'] }, { tasks: ['winRate:town/questions'], against: 'other' }],
  ['judge', 'other', { tasks: ['town/text'] }, { prompts: 'town/prompts' }],
  [
    'judgeUrl',
    'http://127.0.0.1:1/v1',
    { tasks: ['town/questions'] },
    { tasks: ['winRate:town/questions'], against: 'other' },
  ],
  [
    'judgeModel',
    'other',
    { tasks: ['winRate:town/questions'], against: 'other' },
    { tasks: ['winRate:town/questions'], against: 'other', judgeUrl: 'http://127.0.0.1:1/v1' },
  ],
  ['holdOut', 0.1, { tasks: ['choice:a.json'] }, { tasks: ['loss:a.json'] }],
  ['window', 64, { tasks: ['town/questions'] }, { tasks: ['town/text'] }],
  ['windows', 64, { tasks: ['town/questions'] }, { tasks: ['town/text'] }],
  ['maxLength', 64, { tasks: ['town/text'] }, { tasks: ['town/preferences'] }],
  ['rows', 64, { tasks: ['town/text'] }, { tasks: ['town/preferences'] }],
  ['maxNewTokens', 64, { tasks: ['town/text'] }, { tasks: ['town/questions'] }],
  ['maxNewTokens', 64, { tasks: ['town/text'] }, { prompts: 'town/prompts' }],
  ['format', 'plain', { tasks: ['exactMatch:a.json'] }, { tasks: ['town/questions'] }],
  ['samples', 2, {}, { prompts: 'town/prompts' }],
];

const table: Record<string, { required: Keys; rows: Row[] }> = {
  tokenizer: { required: { data: 'town/text' }, rows: [] },
  pretrain: {
    required: { tokenizer: 'tok', data: 'town/text' },
    rows: [
      ...training,
      ['postLayers', '50%', {}, { norm: 'mix' }],
      ['postLayers', 1, { norm: 'post' }, { norm: 'mix' }],
      ['postLayers', 1, { norm: 'deepnorm' }, { norm: 'mix-reversed' }],
      ['alpha', 2, { norm: 'post' }, { norm: 'deepnorm' }],
      ['preLayers', 1, { norm: 'mix' }, { norm: 'hybrid' }],
    ],
  },
  sft: { required: { from: 'a', data: 'town/instructions' }, rows: training },
  reward: { required: { from: 'a', data: 'town/preferences' }, rows: [...cadence, ...schedule] },
  dpo: {
    required: { from: 'a', data: 'town/preferences' },
    rows: [
      ...training,
      ['reference', 'b', { loss: 'orpo' }, { loss: 'ipo' }],
      ['reference', 'b', { loss: 'simpo' }, { loss: 'kto' }],
      ['labelSmoothing', 0.1, { loss: 'ipo' }, {}],
      ['gamma', 1, {}, { loss: 'simpo' }],
      ['desirableWeight', 2, {}, { loss: 'kto' }],
      ['undesirableWeight', 1, { loss: 'hinge' }, { loss: 'kto' }],
    ],
  },
  ppo: {
    required: { from: 'a', data: 'town/prompts' },
    rows: [
      ...reinforcement,
      ['valueLr', 1e-5, { critic: 'shared' }, { critic: 'policy' }],
      ['valueLr', 1e-5, { preset: 'lm-human-preferences' }, { preset: 'lm-human-preferences', critic: 'policy' }],
      ['valueWeight', 1, {}, { critic: 'shared' }],
      ['klKind', 'k3', { klCoefficient: 0 }, {}],
      ['klTarget', 6, { klCoefficient: 0 }, {}],
      ['klHorizon', 1000, { preset: 'openrlhf' }, { klTarget: 6 }],
    ],
  },
  rloo: { required: { from: 'a', data: 'town/prompts' }, rows: reinforcement },
  grpo: { required: { from: 'a', data: 'town/prompts' }, rows: reinforcement },
  evaluate: { required: { from: 'a' }, rows: measurement },
  compare: {
    required: { of: ['a'] },
    rows: [...measurement, ['againstVariant', 'pre', { tasks: ['town/text'] }, { tasks: ['winRate:town/questions'] }]],
  },
  analyze: { required: { from: 'a', text: 'town/text' }, rows: [] },
  export: { required: { from: 'a' }, rows: [] },
};

describe.each(stages.map((stage) => ({ ...stage, stage })))('$name', ({ name, schema, stage }) => {
  const { required, rows } = table[name]!;

  function idle(keys: Keys): string[] {
    const { heldOut = true, ...written } = { ...required, ...keys };
    const { config, problems } = resolveStage(stage, written, { where: (path) => path.join('.') });
    expect(problems).toEqual([]);
    return [...idleKeys(stage, written, config, { heldOut: Boolean(heldOut) }).keys()];
  }

  it('has a row for each key that can be given in vain, and no key of its defaults and presets is', () => {
    const conditional = schemaKeys(schema).filter(({ condition }) => condition);
    expect([...new Set(rows.map(([key]) => key))].sort()).toEqual(conditional.map((key) => key.name).sort());
    for (const preset of Object.keys(stage.presets?.preset ?? {})) expect(idle({ preset })).toEqual([]);
    expect(idle({})).toEqual([]);
  });

  if (rows.length === 0) return;
  it.each(rows)('%s %j has no effect with %j, and one with %j', (key, value, vain, effective) => {
    expect(idle({ ...vain, [key]: value })).toContain(key);
    expect(idle({ ...effective, [key]: value })).not.toContain(key);
  });
});

it('the weight of a reward that is code is that of its function', () => {
  const ppo = stages.find(({ name }) => name === 'ppo')!;
  const written = { from: 'a', data: 'b', reward: './a.ts', rewardWeight: 2 };
  const { config } = resolveStage(ppo, written, { where: (path) => path.join('.') });
  expect(config).toMatchObject({ rewardFunction: './a.ts', rewardFunctionWeight: 2, rewardWeight: 1 });
});

describe('a pipeline', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixtune-vain-'));
    const row = (i: number) => JSON.stringify({ instruction: `Say ${i}.`, output: `${i}.` });
    await writeFile(join(folder, 'rows.jsonl'), Array.from({ length: 4 }, (_, i) => row(i)).join('\n'));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const place = () => ({ baseDirectory: folder, directory: join(folder, 'out'), contents: contentsBelow(folder) });

  async function refusal(stage: string, set: string[] = [], variants = ''): Promise<string> {
    const text = `name: demo
${variants}
stages:
  tokenizer: { run: tokenizer, data: town/text, vocabSize: 300 }
  base: { run: pretrain, model: 1m, tokenizer: tokenizer, data: town/text }
  own: { ${stage} }
`;
    const planned = makePlan(parsePipeline(text, 'demo.yaml', set), { stages, ...place() });
    return planned.then(
      () => '',
      ({ message }: Error) => message,
    );
  }

  const pretrain = 'run: pretrain, model: 1m, tokenizer: tokenizer, data: town/text';
  const sft = 'run: sft, from: base, data: rows.jsonl';

  it('is refused where a key is in vain, with its line, why, and what to do', async () => {
    const message = await refusal(`${pretrain}, postLayers: 50%, epochs: 2, steps: 3`);
    expect(message).toContain('2 problems in demo.yaml');
    expect(message).toMatch(/line 6 {2}stages\.own\.postLayers: has no effect with the norm pre\n.*set `norm` to mix/);
    expect(message).toMatch(
      /line 6 {2}stages\.own\.epochs: has no effect with `steps`\n.*leave it out, or leave `steps` out/,
    );
    expect(await refusal(`${pretrain}, norm: mix, postLayers: 50%, epochs: 2`)).toBe('');
  });

  it('is refused where nothing is held out, once for each key that asks for it', async () => {
    const message = await refusal(`${sft}, evalEvery: 1, best: loss, patience: 1`);
    expect(message).toContain('1 problem in demo.yaml');
    expect(message).toMatch(
      /stages\.own\.evalEvery: has no effect because no rows of `data` are held out\n.*set `holdOut`/,
    );
    expect(await refusal(`${sft}, evalEvery: 1, best: loss, patience: 1, holdOut: 0.3`)).toBe('');
    expect(await refusal(`${sft}, sampleEvery: 1`)).toContain('stages.own.sampleEvery: has no effect');
    expect(await refusal('run: sft, from: base, data: town/instructions, evalEvery: 1')).toBe('');
  });

  const twoNorms = (own: string) => `variants:\n  a: { own: { norm: pre${own} } }\n  b: { own: { norm: mix } }`;

  it('may have a key of a stage that only one of its variants makes use of', async () => {
    expect(await refusal(`${pretrain}, postLayers: 50%`, [], twoNorms(''))).toBe('');
    expect(await refusal(`${pretrain}, postLayers: 50%`, [], 'variants:\n  a: {}\n  b: { own: { norm: mix } }')).toBe(
      '',
    );
  });

  it('is refused for a key of a variant, or of a stage, that no variant makes use of', async () => {
    expect(await refusal(pretrain, [], twoNorms(', postLayers: 50%'))).toContain(
      'variants.a.own.postLayers: has no effect with the norm pre',
    );
    const others = 'variants:\n  a: { own: { lr: 1e-3 } }\n  b: { own: { lr: 1e-4 } }';
    const message = await refusal(`${pretrain}, postLayers: 50%`, [], others);
    expect(message.match(/postLayers: has no effect/g)).toHaveLength(1);
  });

  it('may be changed by --set so that a key of the file has no effect, but a key of --set has to have one', async () => {
    const mix = `${pretrain}, norm: mix, postLayers: 50%, epochs: 2`;
    expect(await refusal(mix, ['stages.own.norm=post', 'stages.own.steps=2'])).toBe('');
    expect(await refusal(pretrain, ['stages.own.postLayers=1'])).toContain(
      '--set stages.own.postLayers: has no effect with the norm pre',
    );
  });
});

it('help and documentation say when a key has an effect', () => {
  const ppo = schemaKeys(stages.find(({ name }) => name === 'ppo')!.schema);
  const horizon = ppo.filter(({ name }) => name === 'klHorizon');
  expect(keysTable(horizon)).toContain('by a factor of e (only with `klTarget`) |');
  expect(flagsOf(horizon[0]!)[0]!.description).toBe(
    'responses over which the coefficient may change by a factor of e (only with --kl-target) (default: 10000)',
  );
});
