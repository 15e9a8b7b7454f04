import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !name.startsWith('interop'))
  .map((name) => join('test', name));
/** Files that replace modules have them to themselves; all others of a worker load each module once. */
const alone = files.filter((file) => /\bvi\.(mock|resetModules)\(/.test(readFileSync(file, 'utf8')));

const project = (name: string, include: string[], isolate: boolean, groupOrder: number) => ({
  extends: true as const,
  test: { name, include, isolate, sequence: { groupOrder } },
});

/** What holds wherever tests of `test` run. */
export const shared = {
  // What imports the built program where it is a process of its own imports the sources in that of a test.
  resolve: { alias: [{ find: /^\.\.\/\.\.\/dist\/(.*)\.js$/, replacement: join(import.meta.dirname, 'src/$1.ts') }] },
  test: {
    globalSetup: ['test/compile-engine.ts'],
    setupFiles: ['test/typed-arrays.ts'],
    env: {
      NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${new URL('test/one-core.mjs', import.meta.url)}`,
    },
    testTimeout: 120_000,
    hookTimeout: 600_000,
    pool: 'forks' as const,
    maxWorkers: availableParallelism(),
  },
};

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    projects: [
      project(
        'tests',
        files.filter((file) => !alone.includes(file)),
        false,
        0,
      ),
      project('tests that replace modules', alone, true, 1),
    ],
  },
});
