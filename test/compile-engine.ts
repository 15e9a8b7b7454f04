import { nativeAvailability } from '../src/tensor/backends/native/build.ts';

/**
 * Compiles the native engine once, before the time of any test counts. Without a compiler, tests of the engine are
 * skipped; with one that does not compile it, nothing passes.
 */
export default async function compileEngine(): Promise<void> {
  const { available, compiler, reason } = await nativeAvailability();
  if (!available && compiler !== undefined) throw new Error(reason);
}
