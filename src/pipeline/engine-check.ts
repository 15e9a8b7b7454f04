import { RequestError } from '../errors.ts';
import type { Machine } from '../runs/machine.ts';
import type { Engine, SavedState } from '../runs/states.ts';

/**
 * A run goes on with what it was begun with; with another engine or precision, whose bits are others, only where that
 * was asked for. Returns what to say about it.
 * @throws RequestError
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
  if (isAskedFor) return `this run was begun with ${change}, as requested: from here on its steps have other bits`;
  throw new RequestError({
    where: directory,
    message: `was computed with ${before.backend} in ${before.precision}; here it would be ${explanation}`,
    hint: `run it where there is ${before.backend} in ${before.precision}, or ask for the change with --backend ${now.backend}`,
  });
}
