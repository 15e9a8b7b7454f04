import { RequestError } from '../errors.ts';
import type { Machine } from '../runs/machine.ts';
import type { Engine, SavedState } from '../runs/states.ts';

/**
 * Checks that a run continues with the engine and precision it was started with, because others would give different
 * bits. A change is allowed only if it was requested; the returned message then describes it.
 * @throws RequestError if the engine or precision changes without having been requested
 */
export function checkEngine(
  { directory, engine: before }: SavedState,
  now: Engine,
  { backend, precision }: Machine,
  explanation: string,
): string | undefined {
  if (!before || (before.backend === now.backend && before.precision === now.precision)) return undefined;
  const isAskedFor = backend !== 'auto' || (precision !== 'auto' && before.backend === now.backend);
  const change = `${before.backend} in ${before.precision}, and continues with ${now.backend} in ${now.precision}`;
  if (isAskedFor)
    return `this run was started with ${change}, as requested: from here on its steps give different bits`;
  throw new RequestError({
    where: directory,
    message: `was computed with ${before.backend} in ${before.precision}; here it would be ${explanation}`,
    hint: `run it where there is ${before.backend} in ${before.precision}, or ask for the change with --backend ${now.backend}`,
  });
}
