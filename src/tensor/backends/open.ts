import { suggestion } from '../../config/suggest.ts';
import { RequestError } from '../../errors.ts';
import type { Backend } from './backend.ts';
import { backends } from './index.ts';
import type { Availability, BackendKind, ProductPrecision } from './kind.ts';

export interface BackendRequest {
  /** Name of a backend; `auto` (the default) = the first in the list that is available. */
  backend?: string;
  /** Precision of matrix products; `auto` (the default) = what suits the processor. */
  precision?: 'auto' | ProductPrecision;
  /** Number of compute threads; default: all that the process may use. */
  threads?: number;
}

export interface BackendChoice {
  backend: Backend;
  /** One line that says what computes, and why it was chosen. */
  explanation: string;
}

/** Opens a backend. @throws RequestError if it is not available or does not support the precision */
export async function openBackend(request: BackendRequest = {}): Promise<BackendChoice> {
  const { backend: wanted = 'auto', precision = 'auto', threads } = request;
  const { kind, why } = wanted === 'auto' ? await firstAvailable() : { kind: kindNamed(wanted), why: '' };
  if (precision !== 'auto' && !kind.precisions.includes(precision)) {
    throw new RequestError({
      where: 'precision',
      message: `the ${kind.name} backend computes in ${kind.precisions.join(' or ')} only`,
      hint: 'leave precision out',
    });
  }
  const options = { ...(precision === 'auto' ? {} : { precision }), ...(threads === undefined ? {} : { threads }) };
  const backend = await kind.open(options).catch((error: Error) => {
    const message = `the ${kind.name} backend is not available: ${error.message}`;
    throw new RequestError({
      where: 'backend',
      message,
      hint: kind.hint ? `${kind.hint}, or choose another backend` : 'choose another backend',
    });
  });
  return { backend, explanation: `${backend.description}${why}` };
}

/** The backend that `auto` chooses, and why none before it in the list. @throws RequestError if none is available */
export async function firstAvailable(): Promise<{ kind: BackendKind; why: string }> {
  const passedOver: string[] = [];
  for (const kind of backends) {
    const availability = await kind.available();
    if (availability.available) {
      return { kind, why: passedOver.length > 0 ? ` (auto: ${passedOver.join('; ')})` : ' (auto)' };
    }
    passedOver.push(unavailable(kind, availability));
  }
  throw new RequestError({ where: 'backend', message: `none is available here: ${passedOver.join('; ')}` });
}

function unavailable({ name }: BackendKind, { reason }: Extract<Availability, { available: false }>): string {
  return `${name} is not available: ${reason.split('\n')[0]}`;
}

function kindNamed(name: string): BackendKind {
  const kind = backends.find((kind) => kind.name === name);
  if (kind) return kind;
  const hint = suggestion(
    name,
    backends.map((known) => known.name),
  );
  throw new RequestError({ where: 'backend', message: `there is no backend ${name}`, hint });
}
