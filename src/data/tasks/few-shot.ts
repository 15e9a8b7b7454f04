import { RequestError } from '../../errors.ts';
import { PythonRandom } from './python-random.ts';
import type { LoadedTask } from './task-file.ts';
import type { TaskRecord } from './task-records.ts';

/** Gives the examples before the next question; questions are to come in their order. */
export type ExampleSampler = (question: TaskRecord) => readonly TaskRecord[];

/**
 * Draws the examples as lm-evaluation-harness does: `random` one sample for each question in turn, `first` the first
 * ones; where examples and questions are the same rows, no question is its own example.
 * @throws RequestError where there are too few examples
 */
export function exampleSampler(
  { task, file, lineOf }: LoadedTask,
  examples: readonly TaskRecord[],
  areQuestions: boolean,
): ExampleSampler {
  if (task.kind === 'perplexity' || !task.fewShot) return () => [];
  const { count, sampler, seed } = task.fewShot;
  const needed = count + Number(areQuestions);
  if (examples.length < needed) {
    const line = lineOf(['fewShot', 'count']);
    const message = `${count} examples are asked for, but there are ${examples.length} rows`;
    const hint = areQuestions ? 'no question is its own example: name more rows as `examples`' : 'ask for fewer';
    const place = { where: 'fewShot.count', ...(line === undefined ? {} : { line }) };
    throw new RequestError({ ...place, message, hint }, file);
  }
  const keys = areQuestions ? examples.map(({ fields }) => JSON.stringify(fields)) : [];
  const random = new PythonRandom(seed);
  const drawn = (from: readonly TaskRecord[], size: number): readonly TaskRecord[] =>
    random.sample(from.length, size).map((index) => from[index]!);
  return (question) => {
    const own = JSON.stringify(question.fields);
    const others = (): TaskRecord[] => examples.filter((_, index) => keys[index] !== own);
    if (sampler === 'first') return others().slice(0, count);
    if (!areQuestions) return drawn(examples, count);
    const others_ = random.sample(examples.length, count + 1).filter((index) => keys[index] !== own);
    if (others_.length >= count) return others_.slice(0, count).map((index) => examples[index]!);
    return drawn(others(), count);
  };
}
