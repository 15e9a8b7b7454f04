import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RandomStream } from '../../src/random.ts';

export interface SampleFolder {
  variants: readonly string[];
  seeds: readonly number[];
  /** Nodes that have not been started, and nodes that were stopped half-way, by id. */
  notRun?: readonly string[];
  stopped?: readonly string[];
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
  { variants, seeds, notRun = [], stopped = [] }: SampleFolder,
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
      run: stage,
      ...(variant && { variant }),
      seed,
      key: 'k',
      directory: id,
      inputs: from ? [from] : [],
    });
    if (notRun.includes(id)) return id;
    await writeNode(join(directory, id), stage, variant, seed, stopped.includes(id));
    if (variant && !stopped.includes(id)) rows.push(comparedRow(stage, variant, seed, variants.indexOf(variant)));
    return id;
  };
  const tokenizer = await add('tokenizer', undefined, seeds[0]!, undefined);
  for (const seed of seeds) {
    for (const variant of variants) {
      const base = await add('pretrain', variant, seed, tokenizer);
      const tuned = await add('sft', variant, seed, base);
      await add('dpo', variant, seed, tuned);
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
  const total = { pretrain: 600, sft: 240, dpo: 120 }[stage] ?? 0;
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
    return { loss: 1.45 - lead + 4.8 * Math.exp(-9 * progress) + 0.07 * random.normal(), ...common };
  if (stage === 'sft')
    return { loss: Math.max(0.02, 0.16 - lead + 2.6 * Math.exp(-7 * progress) + 0.05 * random.normal()), ...common };
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

function comparedRow(stage: string, variant: string, seed: number, place: number) {
  const random = new RandomStream(seed, `results/${stage}/${variant}`);
  const skill = { pretrain: 0.02, sft: 0.84, dpo: 0.83 }[stage] ?? 0;
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
