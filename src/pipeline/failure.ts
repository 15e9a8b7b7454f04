import { RequestError, RunError } from '../errors.ts';

/** Turns a RequestError that occurs while a stage runs into a RunError, because something has already been started. */
export function asFailure(error: Error): Error {
  if (!(error instanceof RequestError)) return error;
  const { subject, problems } = error;
  const hint = problems.find((problem) => problem.hint !== undefined)?.hint;
  const message = problems
    .map(({ where = subject, message }) => [where, message].filter(Boolean).join(': '))
    .join('; ');
  return new RunError(message, { cause: error, ...(hint === undefined ? {} : { hint }) });
}
