import type { BackendKind } from '../kind.ts';
import { createTensorFlowBackend } from './backend.ts';
import { tensorflowAvailability } from './library.ts';

/** TensorFlow's operations, available if its package is installed. */
export const tensorflow: BackendKind = {
  name: 'tensorflow',
  isInterpreted: false,
  precisions: ['f32'],
  hint: 'npm run backend:tensorflow',
  async available() {
    const { available, reason = '', version = '', device = '' } = await tensorflowAvailability();
    if (!available) return { available, reason };
    const facts = { version, device };
    return { available, precision: 'f32', summary: `${version} on the ${device}, products in f32`, facts };
  },
  open: ({ threads }) => createTensorFlowBackend(threads === undefined ? {} : { threads }),
};
