import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Mutated inputs for every reader; `npm run test:hostile`, see test/hostile/README.md. */
export default defineConfig({
  test: {
    include: ['test/hostile/**/*.hostile.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 300_000,
    pool: 'forks',
    maxWorkers: availableParallelism(),
  },
});
