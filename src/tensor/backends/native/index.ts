import type { Availability, BackendKind, ProductPrecision } from '../kind.ts';
import { createNativeBackend } from './backend.ts';
import { loadNative, nativeAvailability } from './build.ts';

/** The C++ engine, compiled for this processor on first use. */
export const native: BackendKind = {
  name: 'native',
  isInterpreted: false,
  precisions: ['f32', 'bf16'],
  hint: 'install g++ or clang++',
  available,
  async open({ threads, precision }) {
    const chosen = precision ?? precisionFor((await loadNative()).instructionSet());
    return createNativeBackend({ precision: chosen, ...(threads === undefined ? {} : { threads }) });
  },
};

async function available(): Promise<Availability> {
  const { available, reason = '', compiler, instructionSet, path } = await nativeAvailability();
  const facts = Object.fromEntries(
    Object.entries({ compiler, instructionSet, path }).filter(
      (fact): fact is [string, string] => fact[1] !== undefined,
    ),
  );
  if (!available) return { available, reason, facts };
  const precision = precisionFor(instructionSet!);
  return { available, precision, summary: `${instructionSet}, products in ${precision}, built by ${compiler}`, facts };
}

/** bf16 if the processor has instructions that multiply bfloat16. */
function precisionFor(instructionSet: string): ProductPrecision {
  return instructionSet.includes('bfloat16') ? 'bf16' : 'f32';
}
