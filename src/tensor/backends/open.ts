import { RequestError } from '../../errors.ts';
import type { Backend } from './backend.ts';
import { createNativeBackend } from './native.ts';
import { nativeAvailability } from './native-build.ts';
import { PortableBackend } from './portable.ts';
import { createTensorFlowBackend } from './tensorflow.ts';

export interface BackendRequest {
  /** `auto` = native where a C++ compiler is found, else portable; never tensorflow. */
  backend?: 'auto' | 'native' | 'portable' | 'tensorflow';
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
  if (wanted === 'portable') return portable(precision, 'portable TypeScript, as requested');
  if (wanted === 'tensorflow') return tensorflow(precision, threads);
  const { available, reason, instructionSet = '' } = await nativeAvailability();
  if (!available) {
    if (wanted === 'auto')
      return portable(precision, `portable TypeScript, about 200 times slower than native: ${reason?.split('\n')[0]}`);
    throw new RequestError({
      where: 'backend',
      message: `the native engine is not available: ${reason}`,
      hint: 'install g++ or clang++, or use backend portable',
    });
  }
  const chosen = precision === 'auto' ? (instructionSet.includes('bfloat16') ? 'bf16' : 'f32') : precision;
  const backend = await createNativeBackend({ precision: chosen, ...(threads === undefined ? {} : { threads }) });
  const count = backend.threads === 1 ? '1 thread' : `${backend.threads} threads`;
  const why = wanted === 'auto' ? ' (auto: there is a C++ compiler)' : '';
  return { backend, explanation: `native engine, ${instructionSet}, ${chosen} products, ${count}${why}` };
}

function portable(precision: BackendRequest['precision'], explanation: string): BackendChoice {
  requireSinglePrecision('portable', precision);
  return { backend: new PortableBackend('f32'), explanation };
}

async function tensorflow(precision: BackendRequest['precision'], threads?: number): Promise<BackendChoice> {
  requireSinglePrecision('tensorflow', precision);
  try {
    const backend = await createTensorFlowBackend(threads === undefined ? {} : { threads });
    return { backend, explanation: `${backend.version} on the ${backend.device}, f32 products` };
  } catch (error) {
    throw new RequestError({
      where: 'backend',
      message: `the tensorflow backend is not available: ${(error as Error).message}`,
      hint: 'run npm run backend:tensorflow, or use backend native',
    });
  }
}

function requireSinglePrecision(name: string, precision: BackendRequest['precision']): void {
  if (precision !== 'bf16') return;
  throw new RequestError({
    where: 'precision',
    message: `the ${name} backend computes in f32 only`,
    hint: 'leave precision out',
  });
}
