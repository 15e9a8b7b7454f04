import type { Command } from 'commander';
import { flagName, inFlags } from '../config/flags.ts';
import { RequestError, RunError } from '../errors.ts';
import { tell } from './output.ts';

/** Prints what went wrong and returns the exit status: 2 for a wrong request, 1 for a run that failed. */
export function reportFailure(error: unknown): 1 | 2 {
  if (error instanceof RequestError) {
    tell(`mixtune: ${error.message}`);
    return 2;
  }
  const message = error instanceof Error ? error.message : String(error);
  tell(`mixtune: ${message}`);
  if (error instanceof RunError && error.hint) tell(`  → hint: ${error.hint}`);
  if (process.env.MIXTUNE_DEBUG && error instanceof Error) tell(String(error.stack));
  else if (!(error instanceof RunError)) tell('  → hint: MIXTUNE_DEBUG=1 shows where it happened');
  return 1;
}

/** Rethrows an error of a command with its keys spelt as flags: `onTooLong` becomes `--on-too-long`. */
export function failInFlags(command: Command): (error: unknown) => never {
  const keys = command.options.map((option) => option.attributeName());
  return (error) => {
    if (error instanceof RequestError) {
      const problems = error.problems.map(({ where, message, hint, ...line }) => ({
        ...line,
        ...(where === undefined ? {} : { where: keys.includes(where) ? `--${flagName(where)}` : where }),
        message: inFlags(message, keys),
        ...(hint === undefined ? {} : { hint: inFlags(hint, keys) }),
      }));
      throw new RequestError(problems, error.subject);
    }
    if (error instanceof RunError) {
      const { message, hint, cause, stateIsWhole } = error;
      const named = { cause, stateIsWhole, ...(hint === undefined ? {} : { hint: inFlags(hint, keys) }) };
      throw new RunError(inFlags(message, keys), named);
    }
    throw error;
  };
}
