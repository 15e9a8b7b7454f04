import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { schemaKeys } from '../../src/config/schema-keys.ts';
import { configReference } from '../../src/pipeline/reference.ts';
import { stages } from '../../src/stages/index.ts';

it('is what docs/config.md says; if not: npm run docs', async () => {
  expect(await readFile(resolve(import.meta.dirname, '../../docs/config.md'), 'utf8')).toBe(configReference(stages));
});

it('finds every key of every stage described', () => {
  const bare = stages.flatMap(({ name, schema }) =>
    schemaKeys(schema)
      .filter(({ description }) => description === '')
      .map((key) => `${name}.${key.name}`),
  );
  expect(bare).toEqual([]);
});

it('has an npm script for each stage', async () => {
  const { scripts } = JSON.parse(await readFile(resolve(import.meta.dirname, '../../package.json'), 'utf8'));
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(stages.map(({ name }) => name)));
});
