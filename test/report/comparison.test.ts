import { describe, expect, it } from 'vitest';
import { canBeJudged, compareStages, difference, spread, variantsOf } from '../../src/report/comparison.ts';
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
  it('counts in how many seeds the variant is better, by the direction of the metric', () => {
    const [exactMatch, perplexity] = compareStages(three)[0]!.rows;
    const first = difference('q/exactMatch', exactMatch!.cells.get('pre')!, exactMatch!.cells.get('mix')!);
    expect(first).toMatchObject({ seeds: 3, seedsBetter: 2 });
    expect(first.value).toBeCloseTo(0.04, 12);
    expect(first.relative).toBeUndefined();
    const second = difference('text/perplexity', perplexity!.cells.get('pre')!, perplexity!.cells.get('mix')!);
    expect(second).toMatchObject({ seeds: 3, seedsBetter: 2, value: -1, relative: -0.2 });
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
  it('says who is ahead, by how much, and over how many seeds', () => {
    expect(sentences(three)).toEqual([
      'After sft, mix is ahead on exact match (q), 88.0 ± 5.3 % against 84.0 ± 4.0 % for pre, and on perplexity (text), 4.00 ± 0.00 against 5.00 ± 1.00 for pre.',
      'Values are means over 3 seeds ± the standard deviation over the seeds, which is not a confidence interval.',
    ]);
  });

  it('makes no statement from one seed', () => {
    const data = folder(three.nodes.slice(0, 2), [three.results[0]!, three.results[3]!]);
    expect(sentences(data)).toEqual([
      'One seed: no statement about which variant is better. Another seed may reverse any difference.',
      'After sft, exact match (q) is 80.0 % for pre and 90.0 % for mix; perplexity (text) is 4.00 for pre and mix alike.',
    ]);
  });

  it('names those that lead together, and those that cannot be compared', () => {
    const seeds = [1, 2];
    const nodes = seeds.flatMap((seed) => ['pre', 'mix', 'post'].map((variant) => node('sft', variant, seed)));
    const rows = seeds.flatMap((seed) => [
      row('sft', 'pre', seed, { 'q/accuracy': 1, 'text/perplexity': 4 }),
      row('sft', 'mix', seed, { 'q/accuracy': 1, 'text/perplexity': 4 }),
      row('sft', 'post', seed, { 'q/accuracy': 0.5, 'text/perplexity': Number.NaN }),
    ]);
    expect(sentences(folder(nodes, rows))[0]).toMatch(
      /^After sft, pre and mix are ahead on accuracy \(q\), 100.0 .* against 50.0 .* for post; perplexity \(text\) is .* for post and cannot be compared.$/,
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
        variants.map((variant, i) => row('ppo', variant, seed, { 'q/winRate': 0.5 + i / 10, 'q/modelWinRate': i / 2 })),
      );
      return compareStages(folder([...rewards, ...ppo, compare], rows)).find(({ stage }) => stage === 'ppo')!;
    };
    const apart = (found: ReturnType<typeof judged>) =>
      found.rows.filter((one) => one.judgedApart).map(({ key }) => key);

    it('are kept apart where each variant has a reward model of its own, and margins always', () => {
      const own = judged((variant) => variant);
      expect(apart(own)).toEqual(['q/modelWinRate', 'held out/reward', 'held out/margin']);
      expect(own.rows.filter(canBeJudged).map(({ key }) => key)).toEqual(['q/winRate']);
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
