import { nativeAvailability } from '../src/tensor/backends/native-build.ts';

/** Compiles the native engine once, before the time of any test counts. */
export default async function compileEngine(): Promise<void> {
  await nativeAvailability();
}
