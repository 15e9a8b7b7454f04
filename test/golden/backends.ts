import type { Backend, HostArray } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { createTensorFlowBackend } from '../../src/tensor/backends/tensorflow/backend.ts';
import { tensorflowAvailability } from '../../src/tensor/backends/tensorflow/library.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { thorough } from '../thorough.ts';

/** How single precision is computed here: natively, or in plain TypeScript if no C++ compiler is found. */
const { available } = await nativeAvailability();
const singlePrecision = available
  ? { name: 'native f32', bound: 1e-6, open: () => createNativeBackend({ precision: 'f32' }) }
  : { name: 'portable f32', bound: 1e-6, open: async () => new PortableBackend('f32') };

const tensorflow = await tensorflowAvailability();
if (!tensorflow.available) console.log(`the tensorflow backend is not tested: ${tensorflow.reason}`);

/** Backends that are compared with the golden numbers, and how close each must come to the float64 references. */
export const backends: { name: string; bound: number; open: () => Promise<Backend> }[] = [
  { name: 'portable f64', bound: 1e-12, open: async () => new PortableBackend('f64') },
  singlePrecision,
  ...(tensorflow.available ? [{ name: 'tensorflow', bound: 1e-6, open: () => createTensorFlowBackend() }] : []),
];

/** Plain TypeScript in double precision is a hundred times slower than the engine. */
const isSlow = ({ name }: { name: string }) => name.startsWith('portable') && !thorough;

/**
 * Backends that are compared with golden training runs: how close, relatively, losses and gradients must come, and for
 * how many of the updates.
 */
export const trainingBackends: ((typeof backends)[number] & { updates: number })[] = [
  ...backends.map((backend) => ({
    ...backend,
    bound: backend.bound < 1e-9 ? 1e-7 : 1e-5,
    updates: isSlow(backend) ? 2 : 10,
  })),
  ...(available
    ? [
        {
          name: 'native bf16',
          bound: 0.025,
          updates: 10,
          open: () => createNativeBackend({ precision: 'bf16' as const }),
        },
      ]
    : []),
];

/** The elements of the tensor that `compute` returns. All tensors it created are released. */
export async function valuesOf(compute: () => Tensor): Promise<HostArray> {
  const tensor = scope(compute, { adopt: false });
  const values = await tensor.backend.read(tensor);
  tensor.release();
  return values;
}
