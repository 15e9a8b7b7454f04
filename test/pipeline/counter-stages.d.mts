import type { Stage } from '../../src/stages/stage.ts';

export const stages: readonly Stage[];
