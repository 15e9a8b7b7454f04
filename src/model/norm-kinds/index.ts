import { layer } from './layer.ts';
import type { NormKind } from './norm-kind.ts';
import { rms } from './rms.ts';

/** Every kind of norm, the one that is meant where none is named first. */
export const normKinds: readonly [NormKind, ...NormKind[]] = [rms, layer];
