import { RequestError } from '../../errors.ts';
import type { Backend } from './backend.ts';
import { createNativeBackend } from './native.ts';
import { nativeAvailability } from './native-build.ts';
import { PortableBackend } from './portable.ts';

export interface BackendRequest {
  /** `auto` = native where a C++ compiler is found, else portable. */
  backend?: 'auto' | 'native' | 'portable';
  /** Of matrix products. `auto` = bf16 where the processor multiplies bfloat16, else f32. */
  precision?: 'auto' | 'f32' | 'bf16';
  /** All that the process may use, by default. */
  threads?: number;
}

export interface BackendChoice {
  backend: Backend;
  /** One line: what computes, and why that. */
  explanation: string;
}

/** Opens what computes; a backend that was asked for and cannot be had is a RequestError. */
export async function openBackend(request: BackendRequest = {}): Promise<BackendChoice> {
  const { backend: wanted = 'auto', precision = 'auto', threads } = request;
  if (wanted === 'portable') return portable(precision, 'portable TypeScript, as asked for');
  const { available, reason, instructionSet = '' } = await nativeAvailability();
  if (!available) {
    if (wanted === 'auto')
      return portable(precision, `portable TypeScript, about 200 times slower than native: ${reason}`);
    throw new RequestError({
      where: 'backend',
      message: `the native engine is not available: ${reason}`,
      hint: 'install g++ or clang++, or use backend portable',
    });
  }
  const chosen = precision === 'auto' ? (instructionSet.includes('bfloat16') ? 'bf16' : 'f32') : precision;
  const backend = await createNativeBackend({ precision: chosen, ...(threads === undefined ? {} : { threads }) });
  const count = backend.threads === 1 ? '1 thread' : `${backend.threads} threads`;
  return { backend, explanation: `native engine, ${instructionSet}, ${chosen} products, ${count}` };
}

function portable(precision: BackendRequest['precision'], explanation: string): BackendChoice {
  if (precision !== 'bf16') return { backend: new PortableBackend('f32'), explanation };
  throw new RequestError({
    where: 'precision',
    message: 'the portable backend computes in f32 only',
    hint: 'leave precision out',
  });
}
