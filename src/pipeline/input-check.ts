import { readModelDirectory } from '../checkpoint/model-directory.ts';
import { checkTokenIds } from '../data/encode.ts';
import { type Problem, RequestError } from '../errors.ts';
import type { InputKind } from '../stages/stage.ts';
import { loadTokenizer } from '../tokenizer/open.ts';

/**
 * Looks over a directory that a person named, before any work: config, tensor list and norm placement of a model, the
 * tokenizer's files, and whether the two belong together. No tensor is read.
 */
export async function inputProblems(directory: string, kind: InputKind): Promise<Problem[]> {
  const problems: Problem[] = [];
  const gather = async <T>(read: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      problems.push(...error.problems.map((problem) => ({ ...problem, message: told(problem, error.subject) })));
      return undefined;
    }
  };
  const model = kind === 'tokenizer' ? undefined : await gather(() => readModelDirectory(directory));
  const tokenizer = await gather(() => loadTokenizer(directory));
  if (tokenizer && model) await gather(() => checkTokenIds([], tokenizer, model.config.vocabSize));
  return problems;
}

/** A problem of a file on one line, so that it can stand behind the place of the key that names the file. */
function told({ message, where }: Problem, subject: string | undefined): string {
  const place = [subject, where === subject ? undefined : where].filter((part) => part !== undefined);
  return place.length > 0 ? `${place.join(', ')}: ${message}` : message;
}
