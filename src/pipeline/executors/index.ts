import type { ExecutorKind } from './executor.ts';
import { localExecutor } from './local.ts';

/** Every executor, the one first that is used where none is asked for. A new one is one file and one line here. */
export const executors: readonly [ExecutorKind, ...ExecutorKind[]] = [localExecutor];
