import { dirname, join } from 'node:path';
import { z } from 'zod';
import { loadModel } from '../checkpoint/load-model.ts';
import { loadRewardModel, type RewardModel } from '../checkpoint/reward-model.ts';
import { type Condition, either, given } from '../config/conditions.ts';
import { asCount } from '../config/scaling.ts';
import { describeGivenTemplate } from '../data/conversation-tokenizer.ts';
import { checkTokenIds } from '../data/encode.ts';
import { assertSameTokenizer } from '../data/same-tokenizer.ts';
import { prefixTokenOf } from '../data/scored-text.ts';
import { RequestError } from '../errors.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { heldOutRows, parseTasks, runTasks, type Task, type TaskKindName, taskKinds } from '../evaluation/tasks.ts';
import { areVerifiable, judgedAnswers, type Player } from '../evaluation/win-rate.ts';
import { releaseModel } from '../model/model.ts';
import { fileNames } from '../runs/file-names.ts';
import { type MeasuredItem, writeItems } from '../runs/items.ts';
import { readJob } from '../runs/node-file.ts';
import { type Measurement, writeResults } from '../runs/results.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { DatasetSource, Stage, StageInput, StageRun, StepRecord } from './stage.ts';

/** The condition that a task of one of these kinds is measured. */
export function tasksOf(...kinds: readonly TaskKindName[]): Condition {
  const text = kinds.join(', ');
  return {
    keys: ['tasks'],
    text: `with a task ${text}`,
    holds: ({ tasks }) => kindsOf(tasks).some((kind) => kinds.includes(kind)),
    otherwise: () => `without a task ${text}`,
    remedy: `add a task ${text}`,
  };
}

/** The condition that one of the tasks is `perplexity` without its own text. */
const bareTask: Condition = {
  keys: ['tasks'],
  text: 'with the task `perplexity`',
  holds: ({ tasks }) => Array.isArray(tasks) && tasks.includes('perplexity'),
  otherwise: () => 'without the task `perplexity`',
  remedy: 'add the task `perplexity`',
};

/** The kinds of the tasks as written; all kinds if one is not a task, which is reported elsewhere. */
function kindsOf(tasks: unknown): TaskKindName[] {
  try {
    return parseTasks(tasks as string[], { text: 'any', against: 'any' }).map(({ kind }) => kind);
  } catch {
    return Object.keys(taskKinds) as TaskKindName[];
  }
}

/** The keys that `evaluate` and `compare` have in common. */
export const measurementOptions = {
  tasks: z
    .array(z.string())
    .min(1)
    .default(['perplexity'])
    .describe(
      'perplexity; KIND:DATASET with perplexity, loss, choice, exactMatch, preference, winRate; a town dataset; or a task file, TASK:DATASET',
    ),
  text: z.string().optional().describe('text for the task perplexity').meta({ condition: bareTask }),
  against: z
    .string()
    .optional()
    .describe('opponent in the task winRate: a stage or a directory')
    .meta({ condition: tasksOf('winRate') }),
  judge: z
    .string()
    .optional()
    .describe("reward model that scores samples, and in the task winRate judges in addition to the rows' answers")
    .meta({ condition: either(tasksOf('winRate'), given('prompts')) }),
  judgeUrl: z
    .url()
    .optional()
    .describe(
      "API in the form of OpenAI's whose model judges in the task winRate, such as http://127.0.0.1:8080/v1; OPENAI_API_KEY is its key",
    )
    .meta({ condition: tasksOf('winRate') }),
  judgeModel: z
    .string()
    .default('default')
    .describe('model that the API is asked for')
    .meta({ condition: given('judgeUrl') }),
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('share of each text, instruction or preference file that training held out; 0 = use all of it')
    .meta({ condition: either(tasksOf('perplexity', 'loss', 'preference'), given('prompts')) }),
  window: z
    .int()
    .min(2)
    .default(256)
    .describe('tokens that each window of a perplexity scores')
    .meta({ condition: tasksOf('perplexity', 'taskFile') }),
  windows: z
    .int()
    .positive()
    .optional()
    .describe('most windows of the perplexity')
    .meta({ condition: tasksOf('perplexity'), scaling: asCount }),
  maxLength: z
    .int()
    .min(2)
    .default(1024)
    .describe('most tokens of a conversation or pair; longer ones are cut')
    .meta({ condition: tasksOf('loss', 'preference') }),
  rows: z
    .int()
    .positive()
    .default(400)
    .describe('most rows of each other task')
    .meta({ condition: tasksOf('loss', 'choice', 'exactMatch', 'preference', 'winRate', 'taskFile') }),
  maxNewTokens: z
    .int()
    .positive()
    .default(32)
    .describe('most tokens of a generated answer')
    .meta({ condition: either(tasksOf('exactMatch', 'winRate'), given('prompts')) }),
  format: z
    .enum(['auto', 'chat', 'plain'])
    .default('auto')
    .describe(
      'how choices are presented: with the chat template, or as Question/Answer; auto = chat where the model has a template and is no result of pretrain',
    )
    .meta({ condition: tasksOf('choice') }),
  prompts: z.string().optional().describe('prompts whose answers are shown as samples'),
  samples: z
    .int()
    .positive()
    .default(6)
    .describe('samples shown')
    .meta({ condition: given('prompts') }),
};

export const evaluateSchema = z.strictObject({
  from: z.string().describe('model: a stage or a Hugging Face directory'),
  ...measurementOptions,
});

export type EvaluateConfig = z.infer<typeof evaluateSchema>;

export interface EvaluateState {
  tasks: readonly Task[];
  found?: Findings;
}

/** Measures one model on held-out data. */
export async function* evaluate(
  config: EvaluateConfig,
  state: EvaluateState,
  run: StageRun,
): AsyncGenerator<StepRecord, { metrics: Metrics }> {
  const { from, against, judge } = run.inputs;
  const measured = { input: from![0]!, opponent: against?.[0], judge: judge?.[0] };
  state.found = await measure(config, state.tasks, measured, run);
  const { metrics } = state.found;
  yield { step: 1, totalSteps: 1, ...metrics };
  return { metrics };
}

export const evaluateStage: Stage<EvaluateConfig, EvaluateState> = {
  name: 'evaluate',
  summary: 'measure a model: perplexity, loss, multiple choice, exact match, preferences, win rate',
  schema: evaluateSchema,
  isRandom: false,
  readsOnOpen: false,
  inputs: {
    from: { kind: 'model' },
    against: { kind: 'model', optional: true },
    judge: { kind: 'reward model', optional: true },
  },
  result: 'measurements',
  datasets: { text: { use: 'text', optional: true }, prompts: { use: 'prompt', optional: true } },
  sources: taskSources,
  open: async (config, run) => ({ tasks: await openTasks(config, run) }),
  run: evaluate,
  async finish(_config, { found }, directory) {
    const { items, ...measurement } = found!;
    await writeResults(directory, measurement);
    await writeItems(directory, items);
  },
};

/** The datasets on which the tasks are measured. */
export function taskSources(config: Pick<EvaluateConfig, 'tasks' | 'text' | 'against'>): DatasetSource[] {
  return parseTasks(config.tasks, config).map(({ kind, source }) => ({
    key: 'tasks',
    source,
    use: taskKinds[kind].use,
  }));
}

/** Parses the tasks. @throws RequestError if a win rate has neither answers nor a judge to decide who wins */
export async function openTasks(
  config: Pick<EvaluateConfig, 'tasks' | 'text' | 'against' | 'judge' | 'judgeUrl'>,
  { baseDirectory }: StageRun,
): Promise<Task[]> {
  const tasks = parseTasks(config.tasks, config);
  for (const { kind, source } of tasks) {
    if (kind !== 'winRate' || config.judge !== undefined || config.judgeUrl !== undefined) continue;
    const rows = await heldOutRows(source, 'prompt', { holdOut: 0, rows: Number.POSITIVE_INFINITY, baseDirectory });
    if (areVerifiable(rows)) continue;
    const hint = 'give every row an `answer`, or a reward model as `judge`, or a `judgeUrl`';
    throw new RequestError({ where: `winRate:${source}`, message: 'has rows without an answer, and no judge', hint });
  }
  return tasks;
}

/** What is measured: a model, its opponent in the task `winRate`, and the judge of that task and of the samples. */
export interface Measured {
  input: StageInput;
  opponent?: StageInput | undefined;
  judge?: StageInput | undefined;
}

/** The measurements, and the results of each task item by item. */
export interface Findings extends Measurement {
  items: MeasuredItem[];
}

/** Loads the models, runs the tasks on the measured one, and lets it answer the sample prompts. */
export async function measure(
  config: Omit<EvaluateConfig, 'from'>,
  tasks: readonly Task[],
  { input, opponent, judge }: Measured,
  run: StageRun,
): Promise<Findings> {
  const player = await openPlayer(input, run);
  const other = opponent && (await openPlayer(opponent, run));
  const rewardModel = judge && (await openJudge(judge, other ? [player, other] : [player], run));
  const { baseDirectory, log } = run;
  const { judgeUrl: url, judgeModel } = config;
  const chatJudge = url === undefined ? undefined : { url, model: judgeModel, key: process.env.OPENAI_API_KEY };
  const options = { ...config, baseDirectory, log, opponent: other, judge: rewardModel, chatJudge };
  try {
    const { model, tokenizer } = player;
    const format = config.format === 'auto' ? await formatOf(input, tokenizer) : config.format;
    if (tasks.some(({ kind }) => kind === 'choice'))
      log(`${input.name}: choices are asked ${format === 'chat' ? 'in chat' : 'plainly'}`);
    if (tasks.some((task) => scoresPlainText(task, format))) sayPrefix(tokenizer, run);
    const found = await runTasks(model, tokenizer, tasks, { ...options, format });
    const { metrics, stderr, remarks } = found;
    for (const remark of remarks) log(`${input.name}: ${remark}`);
    const items = found.tasks.flatMap(({ task, metric, items }) => items.map((item) => ({ task, metric, ...item })));
    const prompts = config.prompts
      ? await heldOutRows(config.prompts, 'prompt', { ...options, rows: config.samples })
      : [];
    return { metrics, stderr, remarks, items, samples: await judgedAnswers(player, prompts, options) };
  } finally {
    for (const open of [player, other, rewardModel]) if (open) releaseModel(open.model);
  }
}

/**
 * Models that have only seen plain text are asked in plain form: those without a chat template, and results of the
 * stage pretrain, whose tokenizer has a template for later stages.
 */
async function formatOf({ directory }: StageInput, tokenizer: Tokenizer): Promise<'chat' | 'plain'> {
  const job = await readJob(join(dirname(directory), fileNames.job)).catch(() => undefined);
  return job?.run === 'pretrain' || !tokenizer.chatTemplates.has('default') ? 'plain' : 'chat';
}

/** Whether texts are scored without a chat template, which would itself determine how a conversation begins. */
const scoresPlainText = ({ kind }: Task, format: 'chat' | 'plain'): boolean =>
  kind === 'perplexity' || kind === 'taskFile' || (kind === 'choice' && format === 'plain');

function sayPrefix(tokenizer: Tokenizer, { log }: StageRun): void {
  const token = (id: number): string => JSON.stringify(tokenizer.idToToken(id));
  const first = prefixTokenOf(tokenizer);
  log(
    first === undefined
      ? 'the tokenizer has no token for the beginning or the end of a text: the first token of a text is not scored'
      : `texts are scored from their first token on, after ${token(first)}`,
  );
  const prefix = tokenizer.prefixIds.map(token).join(' ');
  if (prefix) log(`prompts begin with ${prefix}, as the tokenizer has it`);
}

async function openPlayer({ name, directory }: StageInput, { backend, log }: StageRun): Promise<Player> {
  const tokenizer = await loadTokenizer(directory);
  const given = describeGivenTemplate(tokenizer);
  if (given !== undefined) log(`${name}: ${given}`);
  const { model } = await loadModel(directory, backend);
  checkTokenIds([], tokenizer, model.config.vocabSize);
  return { model, tokenizer };
}

/** Loads the judge. It reads the token ids that the players write, so all must have the same tokenizer. */
async function openJudge(judge: StageInput, players: readonly Player[], { backend }: StageRun): Promise<RewardModel> {
  for (const { tokenizer } of players) await assertSameTokenizer(tokenizer, judge.directory, 'judge');
  return loadRewardModel(judge.directory, backend);
}
