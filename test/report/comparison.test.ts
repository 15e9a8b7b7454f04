import { describe, expect, it } from 'vitest';
import { compareStages, spread, variantsOf } from '../../src/report/comparison.ts';
import { summarise } from '../../src/report/summary.ts';
import type { PipelineFolder } from '../../src/runs/pipeline-folder.ts';
import { folder, node, row } from './made-comparisons.ts';

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

describe('items', () => {
  /** Of six questions, right (1) or wrong (0). */
  const items = (variant: string, seed: number, scores: string) =>
    [...scores].map((score, item) => ({
      ...{ stage: 'sft', variant, seed, task: 'exactMatch:q', metric: 'q/exactMatch', item },
      ...{ correct: score === '1', score: Number(score) },
    }));
  const evidence = (seeds: number[], some: ReturnType<typeof items>) => {
    const results = three.results.filter(({ seed }) => seeds.includes(seed!));
    const [{ rows }] = compareStages({ ...three, results, items: some }) as [ReturnType<typeof compareStages>[0]];
    return rows.find(({ key }) => key === 'q/exactMatch')!.differences.get('mix')!.items;
  };

  it('of one seed say how many just one of the two models gets right', () => {
    const found = evidence([1], [...items('pre', 1, '110000'), ...items('mix', 1, '101111')]);
    // Five questions, of which four are right in the one and one in the other: 2 · (1 + 5) / 2⁵.
    expect(found).toEqual({ items: 6, twoModels: { onlyVariant: 4, onlyReference: 1, p: expect.closeTo(0.375, 12) } });
  });

  it('of several seeds give an interval over seeds and items, of those that all have', () => {
    const both = [1, 2, 3].flatMap((seed) => [...items('pre', seed, '110000'), ...items('mix', seed, '111110')]);
    const found = evidence(
      [1, 2, 3],
      both.filter(({ seed, item }) => seed !== 2 || item !== 5),
    )!;
    expect(found.items).toBe(5);
    expect(found.twoModels).toBeUndefined();
    const [low, high] = found.interval!;
    expect(low).toBeLessThan(0.6);
    expect(low).toBeGreaterThan(0.1);
    expect(high).toBe(1);
  });

  it('that only one of two variants has show nothing', () => {
    expect(evidence([1], items('mix', 1, '101111'))).toBeUndefined();
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
      'After sft, no difference between mix and pre is shown on exact match (q) (+4.0 points [−10.9, +18.9], d_z +0.67, 3 seeds; to show one of this size takes about 26); no difference between mix and pre is shown on perplexity (text) (−1.00 [−3.48, +1.48], d_z −1.00, 3 seeds; to show one of this size takes about 13).',
      'In brackets: 95 % intervals of the mean difference over the seeds that both variants have (paired t); d_z is this mean in units of the standard deviation of the differences.',
      'The first metric of a stage is its primary one, tested at 5 % by itself; all others of the stage are tested together (Holm). For sft it is the one that mixtune takes where none is named.',
    ]);
    const clear = three.results.map((one) => ({
      ...one,
      metrics: { 'q/exactMatch': one.metrics['q/exactMatch']! + (one.variant === 'mix' ? 1 : 0) },
    }));
    expect(sentences(folder(three.nodes, clear))[0]).toMatch(
      /^After sft, mix is ahead of pre on exact match \(q\) \(\+104\.0 points \[.*\], d_z \+17\.33, 3 seeds\)\.$/,
    );
  });

  describe('the metric that decides', () => {
    const named = (primary: string) => ({ ...three, results: three.results.map((one) => ({ ...one, primary })) });

    it('is the one that the pipeline names', () => {
      const data = named('text/perplexity');
      expect(compareStages(data)[0]!.primary).toBe('text/perplexity');
      const [first, , tested] = sentences(data);
      expect(first).toMatch(/^After sft, no difference between mix and pre is shown on perplexity .* exact match/);
      expect(tested).toMatch(/\(Holm\)\. The pipeline names it for sft\.$/);
    });

    it('is another where that cannot be compared, which is said', () => {
      const data = named('q/modelWinRate');
      expect(compareStages(data)[0]!.primary).toBe('q/exactMatch');
      expect(sentences(data)).toContain(
        'win rate by the reward model (q), which the pipeline names for sft, cannot be compared.',
      );
    });
  });

  it('says which seeds are left out, and how many have failed', () => {
    const nodes = three.nodes.map((one) => (one.id === 'sft/mix/seed-3' ? { ...one, status: 'failed' as const } : one));
    const results = three.results.filter(({ variant, seed }) => variant !== 'mix' || seed !== 3);
    expect(sentences(folder(nodes, results)).slice(-2)).toEqual([
      'After sft, mix has no result of seed 3: left out of its differences on both sides.',
      'Failed: sft/mix/seed-3 (1 of 3 seeds).',
    ]);
  });

  it('compares nothing after a stage that is the same for all variants', () => {
    const measured = { evaluations: [{ step: 1, seconds: 1, accuracy: 0.9 }] };
    const data = folder([node('gold', undefined, 7, measured), ...three.nodes], three.results);
    const [gold] = compareStages(data);
    expect(gold).toMatchObject({ stage: 'gold', isShared: true });
    expect(gold!.rows[0]!.differences.size).toBe(0);
    expect(sentences(data).join()).not.toContain('gold');
  });

  it('says where flipping signs comes to another result', () => {
    // All six have one sign, as 2 of 64 ways to flip them; the large one makes their deviation large too.
    const differences = [0.01, 0.01, 0.01, 0.01, 0.01, 0.3];
    const nodes = differences.flatMap((_, seed) => ['pre', 'mix'].map((variant) => node('sft', variant, seed)));
    const rows = differences.flatMap((difference, seed) => [
      row('sft', 'pre', seed, { 'q/exactMatch': 0.5 }),
      row('sft', 'mix', seed, { 'q/exactMatch': 0.5 + difference }),
    ]);
    expect(sentences(folder(nodes, rows))[0]).toMatch(/; p is 0\.2\d\d by t, 0\.031 by flipping signs\)\.$/);
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
