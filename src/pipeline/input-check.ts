import { type PlacementOptions, readModelDirectory } from '../checkpoint/model-directory.ts';
import { checkTokenIds } from '../data/encode.ts';
import { chatRenderer } from '../data/template.ts';
import { type Problem, RequestError } from '../errors.ts';
import { type InputKind, inputKinds } from '../stages/stage.ts';
import { loadTokenizer } from '../tokenizer/open.ts';

/**
 * Checks a directory given by the user before any work starts: a model's config, tensor list and norm placement, the
 * tokenizer's files, whether the two match, and the chat template if it is used to write conversations. No tensors are
 * read.
 */
export async function inputProblems(
  directory: string,
  { kind, writesConversations, ...placement }: { kind: InputKind; writesConversations: boolean } & PlacementOptions,
): Promise<Problem[]> {
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
  const model = inputKinds[kind].isModel ? await gather(() => readModelDirectory(directory, placement)) : undefined;
  const tokenizer = await gather(() => loadTokenizer(directory));
  if (tokenizer && model) await gather(() => checkTokenIds([], tokenizer, model.config.vocabSize));
  if (tokenizer && writesConversations) await gather(() => chatRenderer(tokenizer));
  return problems;
}

/** A problem in a file as one line, which can follow the location of the key that names the file. */
function told({ message, where, line }: Problem, subject: string | undefined): string {
  const parts = [subject, where === subject ? undefined : where, line === undefined ? undefined : `line ${line}`];
  const place = parts.filter((part) => part !== undefined);
  return place.length > 0 ? `${place.join(', ')}: ${message}` : message;
}
