import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, it } from 'vitest';

const source = resolve(import.meta.dirname, '../src');

/** Folders by layer, highest first; a file imports from its own folder and from lower layers. */
const layers = [
  ['cli'],
  ['pipeline'],
  ['stages'],
  ['evaluation', 'analysis', 'report'],
  ['runs'],
  ['training', 'losses', 'generation', 'data'],
  ['checkpoint'],
  ['model', 'tokenizer'],
  ['tensor'],
  ['native'],
];

/** Folders and files of `src/` that import nothing of ours but each other, and that all may import. */
const foundations = ['config', 'errors.ts', 'files.ts', 'random.ts', 'time-limit.ts', 'visible.ts'];

const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

/** First part of a path below `src/`. */
const topOf = (file: string) => file.split('/')[0]!;

const layerOf = (file: string) => layers.findIndex((folders) => folders.includes(topOf(file)));

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) => match[1]!);
  return specifiers.map((specifier) => relative(source, resolve(source, dirname(file), specifier)));
}

function isAllowed(file: string, imported: string): boolean {
  if (topOf(file) === topOf(imported) || foundations.includes(topOf(imported))) return true;
  if (foundations.includes(topOf(file))) return false;
  return layerOf(imported) >= layerOf(file);
}

it('knows the layer of every file', () => {
  // The public API may name everything, and nothing imports it.
  const known = (file: string) => file === 'index.ts' || foundations.includes(topOf(file)) || layerOf(file) >= 0;
  expect(files.filter((file) => !known(file))).toEqual([]);
});

it('imports downwards only', () => {
  const checked = files.filter((file) => file !== 'index.ts');
  const wrong = checked.flatMap((file) =>
    importsOf(file)
      .filter((imported) => !isAllowed(file, imported))
      .map((imported) => `${file} imports ${imported}`),
  );
  expect(checked.length).toBeGreaterThan(50);
  expect(wrong).toEqual([]);
});

/** Folders of the engine, highest first: src/native/README.md says what each holds. */
const engineFolders = ['script', 'decoding', 'layer', 'head', 'products', 'primitives', 'engine', 'registers'];

it('includes downwards only in the engine', () => {
  const engine = join(source, 'native');
  const units = readdirSync(engine, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(cc|h)$/.test(file));
  const depthOf = (file: string) => engineFolders.indexOf(topOf(file));
  const wrong = units.flatMap((file) =>
    [...readFileSync(join(engine, file), 'utf8').matchAll(/^#include "([^"]+)"/gm)]
      .map((match) => match[1]!)
      .filter((included) => depthOf(included) < depthOf(file))
      .map((included) => `${file} includes ${included}`),
  );
  expect(units.length).toBeGreaterThan(40);
  expect(units.filter((file) => depthOf(file) < 0)).toEqual([]);
  expect(wrong).toEqual([]);
});

it('keeps comments within 120 columns, which no formatter does', () => {
  const root = resolve(source, '..');
  const sources = ['src', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(ts|mjs|cc|h)$/.test(file))
      .map((file) => join(folder, file)),
  );
  const long = sources.flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, i) => (/^\s*(\/\/|\/?\*)/.test(line) && [...line].length > 120 ? [`${file}:${i + 1}`] : [])),
  );
  expect(sources.length).toBeGreaterThan(400);
  expect(long).toEqual([]);
});
