import { vi } from 'vitest';
import type { Kernels } from '../../src/tensor/backends/kernels/index.ts';
import type { BackendKind } from '../../src/tensor/backends/kind.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

/** Products of linear layers and greedy sampling are its own, which are counted; all else is composed. */
class ToyBackend extends PortableBackend {
  override readonly name = 'toy';
  override readonly description = 'counting on fingers';
  override readonly kernels: Kernels = {
    linear: {
      forward: vi.fn((x, w, y) => this.matmul(x, w, y, { transposeB: true })),
      inputGradient: vi.fn((dy, w, { tensor, accumulate }) => this.matmul(dy, w, tensor, { accumulate })),
      weightGradient: vi.fn((dy, x, { tensor, accumulate }) =>
        this.matmul(dy, x, tensor, { transposeA: true, accumulate }),
      ),
    },
    sampling: {
      draw: vi.fn(({ logits, tokens }) => {
        const vocabulary = logits.shape[1]!;
        for (let row = 0; row < tokens.size; row++) {
          const scores = [...elements(logits).subarray(row * vocabulary, (row + 1) * vocabulary)];
          elements(tokens)[row] = scores.indexOf(Math.max(...scores));
        }
      }),
      fillIn(drawn, tokens) {
        const ids = elements(tokens);
        for (const [i, id] of ids.entries()) if (id < 0) ids[i] = elements(drawn)[-1 - id]!;
      },
    },
  };
}

const elements = ({ storage }: Tensor) => (storage as unknown as { data: Float32Array | Int32Array }).data;

export const toyBackend: BackendKind & { isHere: boolean } = {
  isHere: true,
  name: 'toy',
  precisions: ['f32'],
  isInterpreted: false,
  hint: 'grow some',
  available: () =>
    Promise.resolve(
      toyBackend.isHere
        ? { available: true, precision: 'f32', summary: 'ten fingers' }
        : { available: false, reason: 'no fingers' },
    ),
  open: () => (toyBackend.isHere ? Promise.resolve(new ToyBackend()) : Promise.reject(new Error('no fingers'))),
};
