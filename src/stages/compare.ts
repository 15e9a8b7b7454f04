import { z } from 'zod';
import type { Task } from '../evaluation/tasks.ts';
import { type ResultRow, writeResults } from '../runs/results.ts';
import { measure, measurementOptions, openTasks, taskSources } from './evaluate.ts';
import type { Stage, StageInput, StageRun, StepRecord } from './stage.ts';

export const compareSchema = z.strictObject({
  of: z.array(z.string()).min(1).describe('models to compare: stages or Hugging Face directories'),
  ...measurementOptions,
});

export type CompareConfig = z.infer<typeof compareSchema>;

export interface CompareState {
  tasks: readonly Task[];
  rows: ResultRow[];
}

/** Measures the models of all stages, variants and seeds alike. */
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
    const measurement = await measure(config, state.tasks, { input, opponent, judge }, run);
    const { name: stage, variant, seed } = input;
    state.rows.push({
      stage,
      ...(variant === undefined ? {} : { variant }),
      ...(seed === undefined ? {} : { seed }),
      ...(opponent === undefined ? {} : { against: opponent.name }),
      ...measurement,
    });
    yield { step: state.rows.length, totalSteps: models.length, ...measurement.metrics };
  }
  return { models: models.length };
}

/** Whom a model is to beat: the one that `against` names, for all models that `of` names after it. */
function opponentOf(
  input: StageInput,
  models: readonly StageInput[],
  against: readonly StageInput[],
): StageInput | undefined {
  const names = models.map(({ name }) => name);
  const opponent = ofSameRun(against, input);
  return opponent && names.indexOf(opponent.name) < names.indexOf(input.name) ? opponent : undefined;
}

/** Of several models of a stage, the one of the same variant and seed; what there is one of serves all. */
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
  sources: taskSources,
  open: async (config, run) => ({ tasks: await openTasks(config, run), rows: [] }),
  run: compare,
  finish: (_config, { rows }, directory) => writeResults(directory, { rows }),
};
