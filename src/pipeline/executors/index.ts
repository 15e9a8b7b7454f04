import type { ExecutorKind } from './executor.ts';
import { localExecutor } from './local.ts';

/** All executors; the first is the default. A new one takes one file and one line here. */
export const executors: readonly [ExecutorKind, ...ExecutorKind[]] = [localExecutor];
