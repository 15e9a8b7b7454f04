import { RequestError, RunError } from '../errors.ts';

/** Tells a person what went wrong and returns the exit status: 2 for a wrong request, 1 for a run that failed. */
export function reportFailure(error: unknown): 1 | 2 {
  if (error instanceof RequestError) {
    process.stderr.write(`mixtune: ${error.message}\n`);
    return 2;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`mixtune: ${message}\n`);
  if (error instanceof RunError && error.hint) process.stderr.write(`  → hint: ${error.hint}\n`);
  if (process.env.MIXTUNE_DEBUG && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  else if (!(error instanceof RunError)) process.stderr.write('  → hint: MIXTUNE_DEBUG=1 shows where it happened\n');
  return 1;
}
