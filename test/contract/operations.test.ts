import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { createTensorFlowBackend } from '../../src/tensor/backends/tensorflow/backend.ts';
import { tensorflowAvailability } from '../../src/tensor/backends/tensorflow/library.ts';
import { type Case, fusedCases, primitiveCases } from './cases.ts';
import { type Differentiated, differentiate, drawInputs, objective, relativeDifference } from './differentiate.ts';

interface Tested {
  name: string;
  /** Largest allowed relative difference to float64: `productBound` for products, `bound` for everything else. */
  bound: number;
  productBound: number;
  open: () => Promise<Backend>;
}

/** bfloat16 has 8 significant bits, so each operand has a relative error of up to 2⁻⁹. */
const tested: Tested[] = [];
const native = await nativeAvailability();
if (native.available) {
  for (const [precision, productBound] of [['f32', 3e-6] as const, ['bf16', 1.5e-2] as const]) {
    const open = () => createNativeBackend({ precision });
    tested.push({ name: `native ${precision}`, bound: 3e-6, productBound, open });
  }
} else console.log(`the native engine is not tested: ${native.reason}`);
const tensorflow = await tensorflowAvailability();
if (tensorflow.available) {
  tested.push({ name: 'tensorflow', bound: 3e-6, productBound: 3e-6, open: () => createTensorFlowBackend() });
} else console.log(`the tensorflow backend is not tested: ${tensorflow.reason}`);

const oracle = new PortableBackend('f64');
const expected = new Map<Case, Differentiated>();

/** Output and gradients of a case in float64, computed once for all backends. */
async function expectedOf(which: Case): Promise<Differentiated> {
  const known = expected.get(which) ?? (await differentiate(oracle, which, drawInputs(which)));
  expected.set(which, known);
  return known;
}

describe.each(tested)('$name against float64', ({ name, bound, productBound, open }) => {
  let backend: Backend;
  let largest = { difference: 0, name: '' };
  let largestOfProducts = { difference: 0, name: '' };

  beforeAll(async () => {
    backend = await open();
  }, 300_000);
  afterAll(async () => {
    console.log(`${name}: largest relative difference ${largest.difference.toExponential(1)} (${largest.name})`);
    console.log(`  of products ${largestOfProducts.difference.toExponential(1)} (${largestOfProducts.name})`);
    await backend.dispose();
  });

  test.each([...primitiveCases, ...fusedCases])('$name', async (which) => {
    const expected = await expectedOf(which);
    const actual = await differentiate(backend, which, drawInputs(which));
    const parts = [
      relativeDifference(actual.output, expected.output),
      ...actual.gradients.map((gradient, i) => relativeDifference(gradient, expected.gradients[i]!)),
    ];
    const difference = Math.max(...parts);
    if (which.products && difference > largestOfProducts.difference)
      largestOfProducts = { difference, name: which.name };
    if (!which.products && difference > largest.difference) largest = { difference, name: which.name };
    expect(difference, `output, gradients: ${parts}`).toBeLessThan(
      which.products ? productBound * Math.sqrt(which.products) : bound,
    );
  });

  test('releases all the memory that the operations used', () => {
    expect(backend.memory().used).toBe(0);
  });
});

describe('gradients of the primitives against central differences in float64', () => {
  const backend = new PortableBackend('f64');
  const small = primitiveCases.filter(({ inputs }) => inputs.every((shape) => shape.reduce((a, b) => a * b, 1) < 60));

  test.each(small)('$name', async (which) => {
    const values = drawInputs(which).map((value) => Float64Array.from(value));
    const { gradients } = await differentiate(backend, which, values);
    for (const [i, input] of values.entries()) {
      const slopes = [];
      for (const [k, value] of input.entries()) {
        const at = async (shifted: number) => {
          input[k] = shifted;
          return objective(backend, which, values);
        };
        slopes.push(((await at(value + 1e-5)) - (await at(value - 1e-5))) / 2e-5);
        input[k] = value;
      }
      expect(relativeDifference(gradients[i]!, slopes)).toBeLessThan(1e-8);
    }
  });
});
