import { RequestError, RunError } from '../errors.ts';

/** A wrong request that shows only while a stage runs is a run that failed: something was started. */
export function asFailure(error: Error): Error {
  if (!(error instanceof RequestError)) return error;
  const { subject, problems } = error;
  const hint = problems.find((problem) => problem.hint !== undefined)?.hint;
  const message = problems
    .map(({ where = subject, message }) => [where, message].filter(Boolean).join(': '))
    .join('; ');
  return new RunError(message, { cause: error, ...(hint === undefined ? {} : { hint }) });
}
