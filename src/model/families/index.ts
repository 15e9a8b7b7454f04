import type { Family } from './family.ts';
import { llama } from './llama.ts';

/** Every family that is read and written. */
export const families: readonly Family[] = [llama];
