import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RandomStream } from '../../src/random.ts';

export interface SampleFolder {
  variants: readonly string[];
  seeds: readonly number[];
  /** Nodes that have not been started, and nodes that were stopped half-way, by id. */
  notRun?: readonly string[];
  stopped?: readonly string[];
  /** With PPO, an analysis of depth, the gradients of layers and more tasks: all that a report can show. */
  complete?: boolean;
}

type Sample = { prompt: string; completion: string; expected?: string };

const questions = [
  ['Where does Ada live?', 'Mill Lane'],
  ['What does Tom sell?', 'bread'],
  ['How much are three apples?', 'six coins'],
  ['On which day is the bakery shut?', 'Monday'],
  ['Who works at the forge?', 'Ned'],
  ['What day comes two days after Friday?', 'Sunday'],
  ['Where can one buy a lamp?', 'the market'],
] as const;

/** A pipeline folder as a run leaves it: plausible noisy curves of pretrain → sft → dpo, and the compared results. */
export async function writeSampleFolder(
  directory: string,
  { variants, seeds, notRun = [], stopped = [], complete = false }: SampleFolder,
): Promise<void> {
  const nodes: {
    id: string;
    stage: string;
    run: string;
    variant?: string;
    seed: number;
    key: string;
    directory: string;
    inputs: string[];
  }[] = [];
  const rows: { stage: string; variant: string; seed: number; metrics: Record<string, number>; samples: Sample[] }[] =
    [];
  const add = async (
    stage: string,
    variant: string | undefined,
    seed: number,
    from: string | undefined,
  ): Promise<string> => {
    const id = `${stage}/${variant ?? 'shared'}/seed-${seed}`;
    nodes.push({
      id,
      stage,
      run: stage === 'depth' ? 'analyze' : stage,
      ...(variant && { variant }),
      seed,
      key: 'k',
      directory: id,
      inputs: from ? [from] : [],
    });
    if (notRun.includes(id)) return id;
    await writeNode(join(directory, id), stage, variant, seed, stopped.includes(id));
    const place = variants.indexOf(variant ?? '');
    if (stage === 'depth') await writeAnalysis(join(directory, id), place, seed);
    else if (variant && !stopped.includes(id)) rows.push(comparedRow(stage, variant, seed, place, complete));
    return id;
  };
  const tokenizer = await add('tokenizer', undefined, seeds[0]!, undefined);
  for (const seed of seeds) {
    for (const variant of variants) {
      const base = await add('pretrain', variant, seed, tokenizer);
      const tuned = await add('sft', variant, seed, base);
      await add('dpo', variant, seed, tuned);
      if (complete) await add('ppo', variant, seed, tuned);
      if (complete) await add('depth', variant, seed, base);
    }
  }
  const compare = 'compare/shared/seed-1';
  nodes.push({ id: compare, stage: 'compare', run: 'compare', seed: 1, key: 'k', directory: compare, inputs: [] });
  await mkdir(join(directory, compare, 'final'), { recursive: true });
  await writeFile(join(directory, compare, 'manifest.json'), '{}');
  await writeFile(join(directory, compare, 'final', 'results.json'), JSON.stringify({ rows }));
  await writeFile(join(directory, 'plan.json'), JSON.stringify({ pipeline: 'quickstart', nodes }));
}

async function writeNode(
  folder: string,
  stage: string,
  variant: string | undefined,
  seed: number,
  stopped: boolean,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const records: Record<string, unknown>[] = [
    {
      type: 'start',
      step: 0,
      time: '2026-03-01T09:00:00.000Z',
      stage,
      variant,
      seed,
      parameters: 1_050_624,
      backend: 'native bf16, 2 threads',
    },
  ];
  const random = new RandomStream(seed, `${stage}/${variant}`);
  const total = { pretrain: 600, sft: 240, dpo: 120, ppo: 60 }[stage] ?? 0;
  const lead = variant === 'mix' ? 0.06 : 0;
  for (let step = 1; step <= (stopped ? total / 2 : total); step++) {
    records.push({
      type: 'step',
      step,
      totalSteps: total,
      seconds: step * 0.12,
      ...stepMetrics(stage, step, total, lead, random),
    });
    if (step % (total / 6) === 0)
      records.push({ type: 'eval', step, seconds: step * 0.12, ...heldOut(stage, step, total, lead, random) });
  }
  if (!stopped)
    records.push({ type: 'done', step: total, seconds: total * 0.12 + 2, peakRssBytes: 512_000_000, result: {} });
  await writeFile(join(folder, 'metrics.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''));
  const norm =
    variant === 'mix'
      ? 'norm: mix\npostLayers: 25% # pipelines/quickstart.yaml:8\n'
      : 'norm: pre # pipelines/quickstart.yaml:7\n';
  await writeFile(
    join(folder, 'config.yaml'),
    `${stage === 'pretrain' ? norm : ''}steps: ${total} # default\nlearningRate: 0.001 # default\n`,
  );
  if (!stopped) await writeFile(join(folder, 'manifest.json'), '{}');
}

function stepMetrics(
  stage: string,
  step: number,
  total: number,
  lead: number,
  random: RandomStream,
): Record<string, number> {
  const progress = step / total;
  const common = {
    learningRate: 1e-3 * Math.min(1, step / (0.1 * total)) * (0.1 + 0.45 * (1 + Math.cos(Math.PI * progress))),
    gradientNorm: (stage === 'pretrain' ? 2.2 * Math.exp(-6 * progress) : 0.5) + 0.4 + 0.12 * Math.abs(random.normal()),
    tokensPerSecond: 5100 + 200 * random.normal(),
  };
  if (stage === 'pretrain')
    return {
      ...layerGradients(step, lead),
      loss: 1.45 - lead + 4.8 * Math.exp(-9 * progress) + 0.07 * random.normal(),
      ...common,
    };
  if (stage === 'sft')
    return { loss: Math.max(0.02, 0.16 - lead + 2.6 * Math.exp(-7 * progress) + 0.05 * random.normal()), ...common };
  if (stage === 'ppo') {
    const kl = Math.max(0, (9 - 40 * lead) * progress + 0.3 * random.normal());
    return { reward: 0.2 + (0.7 + lead) * (1 - Math.exp(-kl / 3)) + 0.03 * random.normal(), kl, ...common };
  }
  const margin = (2.4 + 6 * lead) * (1 - Math.exp(-3 * progress)) + 0.25 * random.normal();
  return {
    loss: Math.log1p(Math.exp(-margin)),
    accuracy: Math.min(1, Math.round(16 / (1 + Math.exp(-margin * 1.6))) / 16),
    margin,
    chosenReward: margin * 0.2 + 0.08 * random.normal(),
    rejectedReward: -margin * 0.8 + 0.08 * random.normal(),
    ...common,
  };
}

function heldOut(
  stage: string,
  step: number,
  total: number,
  lead: number,
  random: RandomStream,
): Record<string, number> {
  const { loss = 0, accuracy, margin } = stepMetrics(stage, step, total, lead, random);
  return stage === 'dpo'
    ? { loss, accuracy: accuracy!, margin: margin! }
    : { loss: loss + 0.05, perplexity: Math.exp(loss + 0.05) };
}

/** Norms by layer, recorded at every hundredth step: they fall with depth, and less so later. */
function layerGradients(step: number, lead: number): Record<string, number> {
  if (step > 1 && step % 100 > 0) return {};
  const norms = Array.from({ length: 12 }, (_, layer) => [
    `gradientNorm/layers.${layer}`,
    (0.3 + 0.7 * Math.exp(-step / 200)) * Math.exp(-layer * (0.12 - lead)),
  ]);
  return { 'gradientNorm/embedding': 0.2, ...Object.fromEntries(norms), 'gradientNorm/finalNorm': 0.1 };
}

/** A stream that grows with depth, and turns less and less from layer to layer. */
async function writeAnalysis(folder: string, place: number, seed: number): Promise<void> {
  const layers = 12;
  const random = new RandomStream(seed, `analysis/${place}`);
  const depths = Array.from({ length: layers + 1 }, (_, depth) => depth);
  const angle = (a: number, b: number) =>
    0.45 * (1 - Math.exp((-(0.25 + 0.15 * place) * Math.abs(a - b)) / (1 + Math.min(a, b) / 3)));
  const matrix = depths.map((row) => depths.map((column) => angle(row, column)));
  const analysis = {
    streamRms: depths.map((depth) => 0.6 + (1.2 - 0.5 * place) * depth + 0.05 * random.uniform()),
    angular: { last: matrix, all: matrix },
    removal: { loss: depths.slice(1).map((depth) => 3 + (2 + place) / depth + 0.05 * random.uniform()) },
    exits: { loss: depths.map((depth) => 3 + 7 * Math.exp(-depth / (4 - place)) + 0.05 * random.uniform()) },
  };
  await mkdir(join(folder, 'final'), { recursive: true });
  await writeFile(join(folder, 'final/results.json'), JSON.stringify({ metrics: {}, samples: [], analysis }));
}

const furtherTasks = ['mmlu', 'boolq', 'arc-easy', 'piqa', 'hellaswag', 'openbookqa', 'winogrande'];

function comparedRow(stage: string, variant: string, seed: number, place: number, complete: boolean) {
  const random = new RandomStream(seed, `results/${stage}/${variant}`);
  const skill = { pretrain: 0.02, sft: 0.84, dpo: 0.83, ppo: 0.86 }[stage] ?? 0;
  const metrics = {
    'town/text/loss': 1.4,
    'town/text/perplexity': 4.3 - 0.13 * place + (stage === 'pretrain' ? 0 : 0.6) + 0.03 * random.normal(),
    'town/questions/exactMatch': Math.max(0, Math.min(1, skill + 0.03 * place + 0.01 * random.normal())),
  };
  Object.assign(metrics, {
    'town/questions/accuracy': Math.min(1, 0.4 + 0.5 * metrics['town/questions/exactMatch'] + 0.01 * random.normal()),
    'town/questions/chance': 0.25,
    ...(stage === 'dpo' && {
      'town/questions/winRate': 0.6,
      'town/questions/wins': 0.25,
      'town/questions/losses': 0.05,
    }),
  });
  if (complete) {
    for (const task of furtherTasks) {
      Object.assign(metrics, {
        [`${task}/accuracy`]: 0.3 + 0.02 * place + 0.4 * random.uniform(),
        [`${task}/chance`]: 0.25,
      });
    }
  }
  const samples = questions.map(([prompt, expected]): Sample => {
    const right = random.uniform() < metrics['town/questions/exactMatch'];
    return {
      prompt,
      expected,
      completion: right ? expected : stage === 'pretrain' ? 'The baker goes to the mill. The mill is' : 'the old well',
    };
  });
  return { stage, variant, seed, ...(stage === 'dpo' && { against: 'sft' }), metrics, samples };
}
