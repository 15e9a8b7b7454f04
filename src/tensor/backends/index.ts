import type { BackendKind } from './kind.ts';
import { native } from './native/index.ts';
import { portable } from './portable.ts';
import { tensorflow } from './tensorflow/index.ts';

/** All backends. `auto` chooses the first that is available. */
export const backends: readonly BackendKind[] = [native, portable, tensorflow];
