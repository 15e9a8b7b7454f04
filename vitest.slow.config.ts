import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { shared } from './vitest.config.ts';

/** The tests of `npm test` that ask whether there is time for more (`thorough`), with that time: `npm run test:slow`. */
const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).map((name) => join('test', name));
const include = files.filter((file) => file.endsWith('.test.ts') && /\bthorough\b/.test(readFileSync(file, 'utf8')));

export default defineConfig({
  ...shared,
  test: { ...shared.test, include, isolate: false, provide: { thorough: true } },
});
