import { own } from '../config/own.ts';
import { keyAgainst, type Metrics } from '../evaluation/metrics.ts';
import type { Task } from '../evaluation/tasks.ts';
import { type ItemRow, writeItems } from '../runs/items.ts';
import { type ResultRow, writeResults } from '../runs/results.ts';
import { compareProblems, withOpponent } from './compare-check.ts';
import { type CompareConfig, compareSchema } from './compare-schema.ts';
import { requireEqualBudgets } from './equal-budgets.ts';
import { type Findings, type Measured, measure, openTasks, taskSources } from './evaluate.ts';
import type { Stage, StageInput, StageRun, StepRecord } from './stage.ts';

export interface CompareState {
  tasks: readonly Task[];
  rows: ResultRow[];
  items: ItemRow[];
}

/** Measures the models of all stages, variants and seeds in the same way. */
export async function* compare(
  config: CompareConfig,
  state: CompareState,
  run: StageRun,
): AsyncGenerator<StepRecord, { models: number }> {
  const { of, against = [], judge: judges = [] } = run.inputs;
  const models = of!;
  for (const input of models) {
    const opponent = opponentOf(input, models, against);
    const judge = ofSameRun(judges, input);
    const { items, ...measurement } = await measure(config, state.tasks, { input, opponent, judge }, run);
    const rival = rivalOf(input, models, config);
    const played = rival && (await crossPlay(config, state, { input, opponent: rival, judge }, run));
    const { name: stage, variant, seed } = input;
    const origin = { stage, ...(variant === undefined ? {} : { variant }), ...(seed === undefined ? {} : { seed }) };
    const primary = own(config.primary, stage);
    const metrics = { ...measurement.metrics, ...played?.metrics };
    state.rows.push({
      ...origin,
      ...(opponent && { against: opponent.name }),
      ...(rival && { againstVariant: rival.variant }),
      ...(primary !== undefined && { primary }),
      ...measurement,
      metrics,
      stderr: { ...measurement.stderr, ...played?.stderr },
      remarks: [...(measurement.remarks ?? []), ...(played?.remarks ?? [])],
    });
    for (const item of [...items, ...(played?.items ?? [])]) state.items.push({ ...origin, ...item });
    yield { step: state.rows.length, totalSteps: models.length, ...metrics };
  }
  return { models: models.length };
}

/** The opponent of a model: the one that `against` names, for all models that come after it in `of`. */
function opponentOf(
  input: StageInput,
  models: readonly StageInput[],
  against: readonly StageInput[],
): StageInput | undefined {
  const names = models.map(({ name }) => name);
  const opponent = ofSameRun(against, input);
  return opponent && names.indexOf(opponent.name) < names.indexOf(input.name) ? opponent : undefined;
}

/** The model of the variant `againstVariant` with the same stage and seed. That variant plays itself, and ties. */
function rivalOf(
  { name, seed }: StageInput,
  models: readonly StageInput[],
  { againstVariant }: CompareConfig,
): StageInput | undefined {
  if (againstVariant === undefined) return undefined;
  return models.find((model) => model.name === name && model.variant === againstVariant && model.seed === seed);
}

/** Win rates against another variant, under keys that name it. */
async function crossPlay(
  config: CompareConfig,
  { tasks }: CompareState,
  measured: Measured,
  run: StageRun,
): Promise<Omit<Findings, 'samples'>> {
  const games = tasks.filter(({ kind }) => kind === 'winRate');
  const found = await measure({ ...config, prompts: undefined }, games, measured, run);
  const variant = measured.opponent!.variant!;
  const renamed = (values: Metrics = {}): Metrics =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [keyAgainst(key, variant), value]));
  return {
    metrics: renamed(found.metrics),
    stderr: renamed(found.stderr),
    remarks: found.remarks?.map((remark) => `against ${variant}, ${remark}`),
    items: found.items.map((item) => ({ ...item, metric: keyAgainst(item.metric, variant) })),
  };
}

/** The candidate of the same variant and seed. A candidate without a variant, or the only seed, serves all models. */
function ofSameRun(candidates: readonly StageInput[], { variant, seed }: StageInput): StageInput | undefined {
  const isSame = (own: unknown, other: unknown) => own === undefined || other === undefined || own === other;
  const seeds = new Set(candidates.map((candidate) => candidate.seed)).size;
  return candidates.find(
    (candidate) => isSame(candidate.variant, variant) && (seeds < 2 || isSame(candidate.seed, seed)),
  );
}

export const compareStage: Stage<CompareConfig, CompareState> = {
  name: 'compare',
  summary: 'measure several models in the same way, for the report',
  schema: compareSchema,
  isRandom: false,
  readsOnOpen: false,
  inputs: {
    of: { kind: 'model', many: true },
    against: { kind: 'model', many: true, optional: true },
    judge: { kind: 'reward model', many: true, optional: true },
  },
  result: 'measurements',
  datasets: { text: { use: 'text', optional: true }, prompts: { use: 'prompt', optional: true } },
  sources: (config) => taskSources(withOpponent(config)),
  check: async (config, { variants }) => compareProblems(config, variants),
  async open(config, run) {
    if (config.budgets === 'equal') await requireEqualBudgets(run.inputs.of!);
    return { tasks: await openTasks(withOpponent(config), run), rows: [], items: [] };
  },
  run: compare,
  async finish(_config, { rows, items }, directory) {
    await writeResults(directory, { rows });
    await writeItems(directory, items);
  },
};
