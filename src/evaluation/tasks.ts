import type { RewardModel } from '../checkpoint/reward-model.ts';
import { own } from '../config/own.ts';
import { closest } from '../config/suggest.ts';
import { type Log, openDataset, sayReading } from '../data/dataset.ts';
import { checkSequences } from '../data/encode.ts';
import { encodeConversations, encodePairs } from '../data/preflight.ts';
import type { RowOf, Use } from '../data/rows.ts';
import { loadTask, namedTask, taskName } from '../data/tasks/task-file.ts';
import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { logLikelihoods } from '../training/sequence-log-probs.ts';
import type { ChatJudge } from './chat-judge.ts';
import { exactMatch } from './exact-match.ts';
import { measureTask } from './measure-task.ts';
import type { MetricName, Metrics } from './metrics.ts';
import { askInChat, askPlainly, multipleChoice } from './multiple-choice.ts';
import { perplexity } from './perplexity.ts';
import { answeredItems, type ItemResult, type TaskResult, textItems } from './task-result.ts';
import { scoreTexts } from './text-scores.ts';
import { winRates } from './win-rate.ts';

export interface TaskOptions {
  /** Text of the task `perplexity` where it names none. */
  text?: string | undefined;
  /** Share of a file that is its held-out part; 0 = the whole file is. */
  holdOut: number;
  window: number;
  windows?: number | undefined;
  /** Tokens of a conversation or pair; longer ones are cut. */
  maxLength: number;
  /** Held-out rows used, at most. */
  rows: number;
  maxNewTokens: number;
  /** How choices are asked for that are no task file's. */
  format: 'chat' | 'plain';
  baseDirectory: string;
  /** Is told how the datasets were read. */
  log?: Log;
  /** Whom the task `winRate` compares with; without one it is left out. */
  opponent?: { model: Model; tokenizer: Tokenizer } | undefined;
  /** Reward model that judges who wins, beside the answers of the rows. */
  judge?: RewardModel | undefined;
  /** Judge behind an API, beside these. */
  chatJudge?: ChatJudge | undefined;
}

interface TaskKind<U extends Use = Use> {
  use: U;
  /** Files of these rows are made for measuring: all of them is held out, whatever `holdOut` says. */
  onlyMeasured?: boolean;
  /** What it can find and has a better direction. */
  finds: readonly MetricName[];
  /** Nothing where it cannot be measured on this model. */
  measure(
    model: Model,
    tokenizer: Tokenizer,
    rows: never[],
    options: TaskOptions,
    source: string,
  ): Promise<TaskResult | undefined>;
}

const cutHint = ({ config }: Model): string => `set maxLength to ${config.maxLength} at most: longer ones are cut`;

/** What can be measured, by the name that stands before the colon of a task. */
export const taskKinds = {
  perplexity: {
    use: 'text',
    finds: ['loss', 'perplexity', 'wordPerplexity', 'bytePerplexity', 'bitsPerByte'],
    measure: perplexity,
  },
  loss: {
    use: 'messages',
    finds: ['loss'],
    async measure(model, tokenizer, rows, { maxLength }) {
      const { sequences } = encodeConversations(rows, tokenizer, { maxLength, onTooLong: 'truncate' });
      const { logProbs, tokens } = await scoreTexts(model, tokenizer, sequences, cutHint(model));
      const loss = -sum(logProbs) / sum(tokens);
      return { metrics: { loss }, metric: 'loss', items: textItems(logProbs, tokens) };
    },
  },
  choice: {
    use: 'choice',
    onlyMeasured: true,
    finds: ['accuracy', 'accuracyBySum'],
    measure(model, tokenizer, rows, { format }) {
      const encoded = format === 'chat' ? askInChat(rows, tokenizer) : askPlainly(rows, tokenizer);
      return multipleChoice(model, tokenizer, rows, encoded, ['accuracy', 'accuracyBySum']);
    },
  },
  exactMatch: {
    use: 'prompt',
    onlyMeasured: true,
    finds: ['exactMatch'],
    measure: exactMatch,
  },
  preference: {
    use: 'preference',
    finds: ['preferenceAccuracy'],
    async measure(model, tokenizer, rows, { maxLength }) {
      const { pairs } = encodePairs(rows, tokenizer, { maxLength, onTooLong: 'truncate' });
      const sides = [pairs.map((pair) => pair.chosen), pairs.map((pair) => pair.rejected)] as const;
      checkSequences(sides.flat(), tokenizer, model.config, cutHint(model));
      const [chosen, rejected] = [await logLikelihoods(model, sides[0]), await logLikelihoods(model, sides[1])];
      const margins = chosen.map((value, i) => value - rejected[i]!);
      const items = answeredItems(
        margins.map((margin) => margin > 0),
        margins,
      );
      const preferenceAccuracy = items.filter(({ correct }) => correct).length / pairs.length;
      return { metrics: { preferenceAccuracy }, metric: 'preferenceAccuracy', items };
    },
  },
  winRate: {
    use: 'prompt',
    onlyMeasured: true,
    finds: ['winRate', 'modelWinRate', 'chatWinRate'],
    measure: async (model, tokenizer, rows, options) =>
      options.opponent && winRates({ model, tokenizer }, options.opponent, rows, options),
  },
  taskFile: {
    use: 'question',
    onlyMeasured: true,
    // Which of them is in the file.
    finds: [
      'accuracy',
      'accuracyBySum',
      'accuracyByBytes',
      'greedyMatch',
      'answerPerplexity',
      'exactMatch',
      'rouge1',
      'rouge2',
      'rougeL',
      'loss',
      'perplexity',
      'wordPerplexity',
      'bytePerplexity',
      'bitsPerByte',
    ],
    async measure(model, tokenizer, rows, options, source) {
      const { task } = await loadTask(namedTask(source).task, options.baseDirectory);
      return measureTask(model, tokenizer, task, rows, options);
    },
  },
} satisfies Record<string, TaskKind>;

export type TaskKindName = keyof typeof taskKinds;

/** What a dataset of the town is measured by where a task does not say. */
const townKinds: Record<string, readonly TaskKindName[]> = {
  'town/text': ['perplexity'],
  'town/instructions': ['loss'],
  'town/preferences': ['preference'],
  'town/prompts': ['exactMatch'],
  'town/questions': ['exactMatch', 'choice'],
};

/** A measurement and the dataset it is made on; of a task file, `TASK` or `TASK:DATASET`. */
export interface Task {
  kind: TaskKindName;
  source: string;
}

/** What the metrics of a task are named after. */
export const subjectOf = ({ kind, source }: Task): string => (kind === 'taskFile' ? taskName(source) : source);

/**
 * Tasks as they are written: `perplexity`, `choice:FILE`, a dataset of the town by itself, or a task file, with its
 * dataset where it names none: `arc-easy:FILE`, `mine.yaml`.
 */
export function parseTasks(
  written: readonly string[],
  { text, against }: { text?: string | undefined; against?: string | undefined } = {},
): Task[] {
  const problems = [];
  const tasks: Task[] = [];
  for (const task of written) {
    const [kind, source] = splitOnce(task);
    const ofTown = own(townKinds, task);
    if (ofTown) tasks.push(...ofTown.map((kind) => ({ kind, source: task })));
    else if (kind === 'winRate' && against === undefined)
      problems.push({
        where: 'tasks',
        message: `\`${task}\` needs an opponent`,
        hint: 'give `against`: the stage or model that the others are to beat',
      });
    else if (isTaskKind(kind) && source) tasks.push({ kind, source });
    else if (task === 'perplexity' && text) tasks.push({ kind: 'perplexity', source: text });
    else if (task === 'perplexity')
      problems.push({
        where: 'tasks',
        message: '`perplexity` needs a text',
        hint: 'give `text`, or write perplexity:FILE',
      });
    else if (isTaskKind(kind) || source === '')
      problems.push({ where: 'tasks', message: `\`${task}\` names no data`, hint: `write ${kind}:DATASET` });
    else {
      const meant = closest(kind, [...Object.keys(taskKinds), ...Object.keys(townKinds)]);
      if (meant === undefined) tasks.push({ kind: 'taskFile', source: task });
      else {
        const hint = `did you mean \`${meant}\`? A task file that is called so is named by its path, ./${kind}.yaml`;
        problems.push({ where: 'tasks', message: `\`${task}\` is no task`, hint });
      }
    }
  }
  const files = tasks.filter(({ kind }) => kind === 'taskFile').map(subjectOf);
  const twice = files.find((name, i) => files.indexOf(name) < i);
  if (twice !== undefined) {
    const hint = 'give the second one a task file with a name of its own';
    problems.push({
      where: 'tasks',
      message: `two tasks are called \`${twice}\`, and so would their metrics be`,
      hint,
    });
  }
  if (problems.length > 0) throw new RequestError(problems);
  return tasks;
}

/** The metrics of all tasks, and what each task found row by row. */
export interface TaskResults {
  /** Named `<dataset or task file>/<metric>`. */
  metrics: Metrics;
  /** Standard errors, as far as they are known, by the same names. */
  stderr: Metrics;
  /** What a reader of the metrics has to know, each with the task that it is about. */
  remarks: string[];
  /** `task` is KIND:DATASET, `metric` the one of `metrics` that averages the items. */
  tasks: { task: string; metric: string; items: ItemResult[] }[];
}

/** Runs the tasks on held-out rows. */
export async function runTasks(
  model: Model,
  tokenizer: Tokenizer,
  tasks: readonly Task[],
  options: TaskOptions,
): Promise<TaskResults> {
  const results: TaskResults = { metrics: {}, stderr: {}, remarks: [], tasks: [] };
  for (const one of tasks) {
    const { kind, source } = one;
    const { use, measure, onlyMeasured } = taskKinds[kind] as TaskKind;
    const rows = await heldOutRows(source, use, onlyMeasured ? { ...options, holdOut: 0 } : options);
    const [subject, task] = [subjectOf(one), kind === 'taskFile' ? source : `${kind}:${source}`];
    const found = await measure(model, tokenizer, rows as never[], options, source).catch(located(task));
    if (!found) continue;
    for (const [name, value] of Object.entries(found.metrics)) results.metrics[`${subject}/${name}`] = value;
    for (const [name, value] of Object.entries(found.stderr ?? {})) results.stderr[`${subject}/${name}`] = value;
    if (found.remark !== undefined) results.remarks.push(`${subject}: ${found.remark}`);
    results.tasks.push({ task, metric: `${subject}/${found.metric}`, items: found.items });
  }
  return results;
}

/** The held-out part of a dataset; a file that keeps nothing back is held out as a whole. */
export async function heldOutRows<U extends Use>(
  source: string,
  use: U,
  { holdOut, rows, baseDirectory, log }: Pick<TaskOptions, 'holdOut' | 'rows' | 'baseDirectory' | 'log'>,
): Promise<RowOf[U][]> {
  const options = { holdOut, baseDirectory, allowEmpty: true };
  const test = await openDataset(source, use, { ...options, split: 'test' });
  const all = test.rows.length > 0 ? test : await openDataset(source, use, { ...options, split: 'train' });
  if (all.rows.length === 0) throw new RequestError({ where: source, message: 'has no rows to measure on' });
  if (log) sayReading(all, log);
  return all.rows.slice(0, use === 'text' ? undefined : rows);
}

/** Adds the task to what is wrong with its rows. */
function located(task: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof RequestError)) throw error;
    throw new RequestError(
      error.problems.map((problem) => ({ ...problem, where: problem.where ?? task })),
      error.subject,
    );
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function splitOnce(task: string): [kind: string, source: string | undefined] {
  const colon = task.indexOf(':');
  return colon < 0 ? [task, undefined] : [task.slice(0, colon), task.slice(colon + 1)];
}

function isTaskKind(name: string): name is TaskKindName {
  return Object.hasOwn(taskKinds, name);
}
