import { RequestError, RunError } from '../errors.ts';
import { tell } from './output.ts';

/** Tells a person what went wrong and returns the exit status: 2 for a wrong request, 1 for a run that failed. */
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
