// The contract of the native engine outside of vitest, for machines that are emulated: every operation, forward and
// backward, against float64. `.ci/arm` runs it.
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { fusedCases, primitiveCases } from '../contract/cases.ts';
import { differentiate, drawInputs, relativeDifference } from '../contract/differentiate.ts';

const oracle = new PortableBackend('f64');
let failed = 0;
for (const [precision, productBound] of [['f32', 3e-6] as const, ['bf16', 1.5e-2] as const]) {
  const backend = await createNativeBackend({ precision, threads: 2 });
  console.log(`${process.arch}, ${backend.instructionSet}, ${precision}`);
  for (const which of [...primitiveCases, ...fusedCases]) {
    const values = drawInputs(which);
    const expected = await differentiate(oracle, which, values);
    const actual = await differentiate(backend, which, values);
    const difference = Math.max(
      relativeDifference(actual.output, expected.output),
      ...actual.gradients.map((gradient, i) => relativeDifference(gradient, expected.gradients[i]!)),
    );
    if (difference < (which.products ? productBound * Math.sqrt(which.products) : 3e-6)) continue;
    failed++;
    console.log(`  ${which.name}: differs by ${difference.toExponential(1)}`);
  }
  await backend.dispose();
}
console.log(`${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
