import { z } from 'zod';
import { writeResults } from '../runs/results.ts';
import type { Stage } from './stage.ts';

const toySchema = z.strictObject({ steps: z.int().positive().default(2).describe('letters to count') });

/** Counts to `steps`, one letter per step. */
export const toyStage: Stage<z.infer<typeof toySchema>, { letters: number }> = {
  name: 'toy',
  summary: 'count letters',
  schema: toySchema,
  inputs: {},
  result: 'measurements',
  datasets: {},
  isRandom: false,
  readsOnOpen: true,
  open: () => Promise.resolve({ letters: 0 }),
  async *run({ steps }, state) {
    while (state.letters < steps) {
      state.letters++;
      yield { step: state.letters, totalSteps: steps, letters: state.letters };
    }
    return { letters: state.letters };
  },
  finish: (_config, { letters }, directory) => writeResults(directory, { metrics: { letters }, samples: [] }),
};
