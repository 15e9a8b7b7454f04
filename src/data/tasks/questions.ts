import { type Problem, RequestError } from '../../errors.ts';
import type { QuestionOf, RowOf, ScoredText } from '../rows.ts';
import type { FileSource } from '../source.ts';
import { textSize } from '../text-size.ts';
import { exampleSampler } from './few-shot.ts';
import { type LoadedTask, loadTask, namedTask } from './task-file.ts';
import { type TaskRecord, taskRecords, taskSource } from './task-records.ts';
import type { TaskFileKind, TaskOf } from './task-schema.ts';
import { type Fields, RowFault, taskTemplate } from './task-template.ts';

/** Problems that are shown. */
const shownProblems = 10;

/** A task, and the files that it reads. */
export interface TaskData {
  loaded: LoadedTask;
  data: string;
  source: FileSource;
  /** Those of the examples, where they are other rows than the questions. */
  examples: { data: string; source: FileSource } | undefined;
}

/** @throws RequestError where task or data are not there */
export async function taskData(written: string, baseDirectory: string): Promise<TaskData> {
  const named = namedTask(written);
  const loaded = await loadTask(named.task, baseDirectory);
  const { task, file } = loaded;
  const data = named.data ?? task.data;
  if (data === undefined) {
    const message = `${file} names no data`;
    throw new RequestError({ message, hint: `write ${named.task}:DATASET, such as a .jsonl file` });
  }
  const source = await taskSource(data, baseDirectory);
  const shots = task.kind === 'perplexity' ? undefined : task.fewShot?.examples;
  const examples =
    shots === undefined || shots === data ? undefined : { data: shots, source: await taskSource(shots, baseDirectory) };
  return { loaded, data, source, examples };
}

/** The questions that a task makes of its rows. @throws RequestError that names the rows that it cannot ask */
export async function readQuestions({ loaded, data, source, examples }: TaskData): Promise<RowOf['question'][]> {
  const asked = asker(loaded);
  const records = await taskRecords(source, data);
  const shots = examples ? await taskRecords(examples.source, examples.data) : records;
  const examplesOf = exampleSampler(loaded, shots, !examples);
  const { kind } = loaded.task;
  const [before, after] =
    kind === 'perplexity' ? ['', ''] : [loaded.task.preamble, loaded.task.fewShot?.separator ?? ''];
  const problems: Problem[] = [];
  const at = <T>({ where, line, fields }: TaskRecord, work: (fields: Fields) => T): T | undefined => {
    try {
      return work(fields);
    } catch (error) {
      if (!(error instanceof RowFault)) throw error;
      const columns = Object.keys(fields).map((column) => `\`${column}\``);
      problems.push({ where, line, message: error.message, hint: `the row has ${columns.slice(0, 12).join(', ')}` });
      return undefined;
    }
  };
  const questions = records.flatMap((record) => {
    if (problems.length >= shownProblems) return [];
    const solved = examplesOf(record).map((example) => at(example, asked.solved));
    const context = before + solved.map((example) => `${example}${after}`).join('');
    return at(record, (fields) => asked.question(fields, context)) ?? [];
  });
  if (problems.length > 0) throw new RequestError(problems.slice(0, shownProblems), loaded.file);
  return questions;
}

/** How a task asks a row. */
interface Asker {
  /** @throws RowFault */
  question(fields: Fields, before: string): RowOf['question'];
  /** The row as an example: with its answer. @throws RowFault */
  solved(fields: Fields): string;
}

type Askers = { [K in TaskFileKind]: (task: TaskOf<K>, loaded: LoadedTask) => Asker };

const asker = (loaded: LoadedTask): Asker =>
  (askers[loaded.task.kind] as Askers['choice'])(loaded.task as TaskOf<'choice'>, loaded);

const askers: Askers = {
  choice({ prompt, delimiter, choices, answer }, loaded) {
    const promptOf = taskTemplate('prompt', prompt, loaded);
    const choiceOf = chooser({ choices, answer }, loaded);
    return {
      question(fields, before) {
        const context = before + promptOf.text(fields);
        const { choices, answer } = choiceOf(fields);
        const texts = choices.map((choice) => ({ context, continuation: delimiter + choice }));
        return { texts, choices, answer };
      },
      solved(fields) {
        const { choices, answer } = choiceOf(fields);
        return promptOf.text(fields) + delimiter + choices[answer];
      },
    };
  },
  partial({ ending, delimiter, choices, answer }, loaded) {
    const endingOf = taskTemplate('ending', ending, loaded);
    const choiceOf = chooser({ choices, answer }, loaded);
    return {
      question(fields, before) {
        const { choices, answer } = choiceOf(fields);
        const continuation = delimiter + filled('ending', endingOf.text(fields));
        return { texts: choices.map((choice) => ({ context: before + choice, continuation })), choices, answer };
      },
      solved(fields) {
        const { choices, answer } = choiceOf(fields);
        return choices[answer] + delimiter + endingOf.text(fields);
      },
    };
  },
  continuation: (task, loaded) => {
    const parts = promptAndAnswer(task, loaded);
    return {
      question(fields, before): ScoredText {
        const { prompt, answer } = parts(fields);
        return { context: before + prompt, continuation: task.delimiter + answer };
      },
      solved: (fields) => solvedText(parts(fields), task.delimiter),
    };
  },
  generate: (task, loaded) => {
    const parts = promptAndAnswer(task, loaded);
    return {
      question(fields, before) {
        const { prompt, answer } = parts(fields);
        return { prompt: before + prompt, answer };
      },
      solved: (fields) => solvedText(parts(fields), task.delimiter),
    };
  },
  perplexity({ text }, loaded) {
    const textOf = taskTemplate('text', text, loaded);
    const unchanged = taskTemplate('text', text, { ...loaded, task: { ...loaded.task, rewrite: [] } });
    return {
      question(fields) {
        return { text: textOf.text(fields), ...textSize(unchanged.text(fields)) };
      },
      solved: textOf.text,
    };
  },
};

interface PromptAndAnswer {
  prompt: string;
  answer: string;
}

function promptAndAnswer(task: PromptAndAnswer, loaded: LoadedTask): (fields: Fields) => PromptAndAnswer {
  const [promptOf, answerOf] = [
    taskTemplate('prompt', task.prompt, loaded),
    taskTemplate('answer', task.answer, loaded),
  ];
  return (fields) => ({ prompt: promptOf.text(fields), answer: filled('answer', answerOf.text(fields)) });
}

const solvedText = ({ prompt, answer }: PromptAndAnswer, delimiter: string): string => prompt + delimiter + answer;

type Chosen = Pick<QuestionOf['choice'], 'choices' | 'answer'>;

/** The choices of a row, and the index of the right one. */
function chooser(
  { choices, answer }: Pick<TaskOf<'choice'>, 'choices' | 'answer'>,
  loaded: LoadedTask,
): (fields: Fields) => Chosen {
  const listOf =
    typeof choices === 'string'
      ? taskTemplate('choices', choices, loaded).value
      : choicesOf(choices.map((choice) => taskTemplate('choices', choice, loaded).text));
  const answerOf = typeof answer === 'number' ? () => answer : taskTemplate('answer', answer, loaded).value;
  return (fields) => {
    const choices = choiceTexts(listOf(fields));
    return { choices, answer: indexOf(answerOf(fields), choices) };
  };
}

const choicesOf =
  (templates: readonly ((fields: Fields) => string)[]) =>
  (fields: Fields): string[] =>
    templates.map((template) => template(fields));

function choiceTexts(value: unknown): string[] {
  if (!Array.isArray(value)) throw new RowFault(`\`choices\` gives ${shown(value)}, which is no list`);
  if (value.length < 2) throw new RowFault(`\`choices\` gives ${value.length} of them; at least two are needed`);
  return value.map((choice: unknown, index) => {
    if (typeof choice !== 'string') throw new RowFault(`choice ${index + 1} is ${shown(choice)}, which is no text`);
    return filled(`choice ${index + 1}`, choice);
  });
}

/** An index, also as digits, or the text of a choice. */
function indexOf(answer: unknown, choices: readonly string[]): number {
  const text = typeof answer === 'string' ? answer.trim() : undefined;
  const byText = text === undefined ? -1 : choices.indexOf(text);
  if (byText >= 0) return byText;
  const index = text === undefined ? Number(answer) : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (answer !== null && Number.isInteger(index) && index >= 0 && index < choices.length) return index;
  throw new RowFault(
    `\`answer\` gives ${shown(answer)}, which is neither an index below ${choices.length} nor a choice`,
  );
}

function filled(what: string, text: string): string {
  if (text.trim() === '') throw new RowFault(`${what} is empty`);
  return text;
}

const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value)).slice(0, 80);
