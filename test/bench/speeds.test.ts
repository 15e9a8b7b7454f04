import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withSpeeds } from '../../bench/compare/results.mjs';

test("the README's table of speeds is that of the runs that were kept", () => {
  const written = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  expect(written).toContain('<!-- speeds: ');
  expect(written).toBe(withSpeeds(written));
});
