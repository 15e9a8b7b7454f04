import { filled, scope } from '../scope.ts';
import type { Kernels } from './kernels/index.ts';
import type { BackendKind } from './kind.ts';
import { PortableBackend } from './portable.ts';

/** A backend with one family of kernels, which are composed from its primitives. */
class ToyBackend extends PortableBackend {
  override readonly name = 'toy';
  override readonly kernels: Kernels = {
    toy: {
      forward: (x, y) =>
        scope(() => {
          this.unary('exp', x, y);
          this.binary('add', y, filled(this, [1], 1), y);
          this.unary('log', y, y);
        }),
      gradient: (dy, x, { tensor, accumulate }) =>
        scope(() => {
          const slope = filled(this, x.shape, 0);
          this.unary('sigmoid', x, slope);
          this.binary('mul', dy, slope, slope);
          if (accumulate) this.addScaled(slope, 1, tensor);
          else this.unary('copy', slope, tensor);
        }),
    },
  };
}

export const toy: BackendKind = {
  name: 'toy',
  precisions: ['f32'],
  isInterpreted: true,
  available: () => Promise.resolve({ available: true, precision: 'f32', summary: 'a toy' }),
  open: () => Promise.resolve(new ToyBackend()),
};
