import { describe, expect, it } from 'vitest';
import { compareStages, spread, variantsOf } from '../../src/report/comparison.ts';
import { summarise } from '../../src/report/summary.ts';
import type { PipelineFolder, RecordedNode } from '../../src/runs/pipeline-folder.ts';
import type { ResultRow } from '../../src/runs/results.ts';

function node(
  stage: string,
  variant: string | undefined,
  seed: number,
  rest: Partial<RecordedNode> = {},
): RecordedNode {
  const id = `${stage}/${variant ?? 'shared'}/seed-${seed}`;
  const empty = { steps: [], evaluations: [], samples: [], start: {}, done: {}, result: {}, config: '', inputs: [] };
  return {
    id,
    stage,
    run: stage,
    ...(variant && { variant }),
    seed,
    directory: id,
    status: 'finished',
    ...empty,
    ...rest,
  };
}

function row(stage: string, variant: string, seed: number, metrics: Record<string, number>): ResultRow {
  return { stage, variant, seed, metrics, samples: [] };
}

const folder = (nodes: RecordedNode[], results: ResultRow[]): PipelineFolder => ({
  name: 'test',
  arguments: [],
  nodes,
  results,
  items: [],
});
const sentences = (data: PipelineFolder) =>
  summarise(compareStages(data), data.nodes, variantsOf(data)).map((text) => text.replaceAll('\u00a0', ' '));

const three = folder(
  [1, 2, 3].flatMap((seed) => ['pre', 'mix'].map((variant) => node('sft', variant, seed))),
  [
    row('sft', 'pre', 1, { 'q/exactMatch': 0.8, 'text/perplexity': 4 }),
    row('sft', 'pre', 2, { 'q/exactMatch': 0.84, 'text/perplexity': 5 }),
    row('sft', 'pre', 3, { 'q/exactMatch': 0.88, 'text/perplexity': 6 }),
    row('sft', 'mix', 1, { 'q/exactMatch': 0.9, 'text/perplexity': 4 }),
    row('sft', 'mix', 2, { 'q/exactMatch': 0.82, 'text/perplexity': 4 }),
    row('sft', 'mix', 3, { 'q/exactMatch': 0.92, 'text/perplexity': 4 }),
  ],
);

describe('spread', () => {
  it('is the mean and the sample standard deviation: 2, 4, 4, 4, 5, 5, 7, 9 → 5 and √(32/7)', () => {
    const { mean, deviation } = spread([2, 4, 4, 4, 5, 5, 7, 9]);
    expect(mean).toBe(5);
    expect(deviation).toBeCloseTo(Math.sqrt(32 / 7), 12);
    expect(spread([3])).toEqual({ mean: 3 });
  });
});

describe('difference', () => {
  const change = (data: PipelineFolder, key: string) =>
    compareStages(data)[0]!
      .rows.find((one) => one.key === key)!
      .differences.get('mix')!;

  it('counts in how many seeds the variant is better, by the direction of the metric', () => {
    const first = change(three, 'q/exactMatch');
    expect(first).toMatchObject({ seeds: 3, seedsBetter: 2 });
    expect(first.mean).toBeCloseTo(0.04, 12);
    expect(first.relative).toBeUndefined();
    const second = change(three, 'text/perplexity');
    expect(second).toMatchObject({ seeds: 3, seedsBetter: 2, mean: -1, relative: -0.2 });
    expect([first.shown, second.shown]).toEqual([undefined, undefined]);
  });

  it('leaves a seed that one variant lacks out on both sides', () => {
    const lacking = (variant: string, seed: number) => ({
      ...three,
      results: three.results.filter((one) => one.variant !== variant || one.seed !== seed),
    });
    const withoutMix = change(lacking('mix', 3), 'q/exactMatch');
    expect(withoutMix.seeds).toBe(2);
    expect(withoutMix.mean).toBeCloseTo((0.1 - 0.02) / 2, 12);
    const withoutPre = change(lacking('pre', 1), 'q/exactMatch');
    expect(withoutPre.seeds).toBe(2);
    expect(withoutPre.mean).toBeCloseTo((-0.02 + 0.04) / 2, 12);
  });

  /** Ten seeds; `mix` differs by `change` of each metric, and by a hundredth of it from seed to seed. */
  const ten = (changes: Record<string, number>) =>
    folder(
      [],
      Array.from({ length: 10 }, (_, i) => i + 1).flatMap((seed) => [
        row('sft', 'pre', seed, Object.fromEntries(Object.keys(changes).map((key) => [key, 1 + seed / 10]))),
        row(
          'sft',
          'mix',
          seed,
          Object.fromEntries(Object.entries(changes).map(([key, by]) => [key, 1 + seed / 10 + by + noise(seed)])),
        ),
      ]),
    );
  const noise = (seed: number) => 0.02 * (seed % 2 === 0 ? 1 : -1);

  it('is shown where the seeds agree, as better or worse by the direction of the metric', () => {
    const nodes = ['pre', 'mix'].map((variant) => node('sft', variant, 1));
    const data = { ...ten({ 'q/exactMatch': 0.1, 'text/perplexity': 0.1, 'q/chance': 0.1 }), nodes };
    expect(['q/exactMatch', 'text/perplexity', 'q/chance'].map((key) => change(data, key).shown)).toEqual([
      'better',
      'worse',
      undefined,
    ]);
  });

  it('of metrics that are not the first is tested with all others of the stage together', () => {
    const nodes = ['pre', 'mix'].map((variant) => node('sft', variant, 1));
    // t = 2.85 of 10 seeds: p = 0.019, times five tests not below 0.05.
    const small = 0.019;
    const some = { 'q/exactMatch': small, 'a/accuracy': small };
    const many = { ...some, 'b/accuracy': 0, 'c/accuracy': 0, 'd/accuracy': 0, 'e/accuracy': 0 };
    const shown = (changes: Record<string, number>) =>
      ['q/exactMatch', 'a/accuracy'].map((key) => change({ ...ten(changes), nodes }, key).shown);
    expect(shown(some)).toEqual(['better', 'better']);
    expect(shown(many)).toEqual(['better', undefined]);
  });
});

describe('compareStages', () => {
  it('adds what a finished stage measured last itself, a perplexity in place of its loss', () => {
    const evaluations = [
      { step: 5, seconds: 1, loss: 3, perplexity: 20, accuracy: 0.5 },
      { step: 10, seconds: 2, loss: 2, perplexity: 7.4, accuracy: 0.75 },
    ];
    const data = folder(
      [node('dpo', 'pre', 1, { evaluations }), node('dpo', 'mix', 1, { evaluations, status: 'stopped' })],
      [row('dpo', 'pre', 1, { 'q/accuracy': 0.7, 'q/tokens': 90 })],
    );
    const { rows } = compareStages(data)[0]!;
    expect(rows.map(({ key }) => key)).toEqual(['q/accuracy', 'held out/perplexity', 'held out/accuracy']);
    expect(rows[1]!.cells.get('pre')!.mean).toBe(7.4);
    expect(rows[1]!.cells.has('mix')).toBe(false);
  });

  it('counts the result of a stage without variants for every variant', () => {
    const data = folder(
      [node('pretrain', undefined, 1), node('sft', 'pre', 1), node('sft', 'mix', 1)],
      [{ stage: 'pretrain', seed: 1, metrics: { 'text/perplexity': 4 }, samples: [] }],
    );
    expect([...compareStages(data)[0]!.rows[0]!.cells.keys()]).toEqual(['pre', 'mix']);
  });
});

describe('summarise', () => {
  it('says what the seeds show, with intervals, and how many would show what these do not', () => {
    expect(sentences(three)).toEqual([
      'After sft, no difference between mix and pre is shown on exact match (q) (+4.0 points [−10.9, +18.9], 3 seeds; to show one of this size takes about 26); no difference between mix and pre is shown on perplexity (text) (−1.00 [−3.48, +1.48], 3 seeds; to show one of this size takes about 13).',
      'In brackets: 95 % intervals of the mean difference over the seeds that both variants have (paired t). The first metric of a stage is tested at 5 % by itself, all others of the stage together (Holm).',
    ]);
    const clear = three.results.map((one) => ({
      ...one,
      metrics: { 'q/exactMatch': one.metrics['q/exactMatch']! + (one.variant === 'mix' ? 1 : 0) },
    }));
    expect(sentences(folder(three.nodes, clear))[0]).toMatch(
      /^After sft, mix is ahead of pre on exact match \(q\) \(\+104\.0 points \[.*\], 3 seeds\)\.$/,
    );
  });

  it('makes no statement from one seed', () => {
    const data = folder(three.nodes.slice(0, 2), [three.results[0]!, three.results[3]!]);
    expect(sentences(data)).toEqual([
      'One seed: no statement about which variant is better. Another seed may reverse any difference.',
      'After sft, exact match (q) is 80.0 % for pre and 90.0 % for mix; perplexity (text) is 4.00 for pre and mix alike.',
    ]);
  });

  it('compares each variant with the first one, and names those that cannot be compared', () => {
    const seeds = [1, 2];
    const nodes = seeds.flatMap((seed) => ['pre', 'mix', 'post'].map((variant) => node('sft', variant, seed)));
    const rows = seeds.flatMap((seed) => [
      row('sft', 'pre', seed, { 'q/accuracy': 1, 'text/perplexity': 4 }),
      row('sft', 'mix', seed, { 'q/accuracy': 1, 'text/perplexity': 4 }),
      row('sft', 'post', seed, { 'q/accuracy': 0.5 + seed / 100, 'text/perplexity': Number.NaN }),
    ]);
    expect(sentences(folder(nodes, rows))[0]).toMatch(
      /^After sft, no difference between mix and pre is shown on accuracy \(q\) \(.*\); post is behind pre on accuracy \(q\) \(−48\.5 points .*\); perplexity \(text\) is .* for post and cannot be compared\.$/,
    );
  });

  describe('values of judges', () => {
    const seeds = [1, 2];
    const variants = ['pre', 'mix'];
    const evaluations = (reward: number) => [{ step: 1, seconds: 1, reward, margin: reward }];
    /** PPO of two variants whose rewards are those of `judge(variant)`. */
    const judged = (judge: (variant: string) => string | undefined) => {
      const rewards = variants.flatMap((variant) => {
        const made = node('reward', judge(variant), 1);
        return [{ ...made, id: `reward/${judge(variant)}` }];
      });
      const of = (variant: string) => [`reward/${judge(variant)}`];
      const ppo = seeds.flatMap((seed) =>
        variants.map((variant, i) =>
          node('ppo', variant, seed, { inputs: of(variant), evaluations: evaluations(i + seed) }),
        ),
      );
      const compare = { ...node('compare', undefined, 1), run: 'compare', inputs: variants.flatMap(of) };
      const rows = seeds.flatMap((seed) =>
        variants.map((variant, i) =>
          row('ppo', variant, seed, { 'q/winRate': 0.5 + (i * (100 + seed)) / 1000, 'q/modelWinRate': i / 2 }),
        ),
      );
      return compareStages(folder([...rewards, ...ppo, compare], rows)).find(({ stage }) => stage === 'ppo')!;
    };
    const apart = (found: ReturnType<typeof judged>) =>
      found.rows.filter((one) => one.judgedApart).map(({ key }) => key);

    it('are kept apart where each variant has a reward model of its own, and margins always', () => {
      const own = judged((variant) => variant);
      expect(apart(own)).toEqual(['q/modelWinRate', 'held out/reward', 'held out/margin']);
      expect(own.rows.filter(({ differences }) => differences.get('mix')?.shown).map(({ key }) => key)).toEqual([
        'q/winRate',
      ]);
    });

    it('are compared where one reward model judges all', () => {
      expect(apart(judged(() => undefined))).toEqual(['held out/margin']);
    });
  });

  it('lists what is missing', () => {
    const nodes = [node('sft', 'pre', 1, { status: 'broken off' }), node('sft', 'mix', 1, { status: 'not run' })];
    expect(sentences(folder(nodes, []))).toEqual(['Broken off: sft/pre/seed-1.', 'Not run: sft/mix/seed-1.']);
  });
});
