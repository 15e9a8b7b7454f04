import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { stages } from '../src/stages/index.ts';

const source = resolve(import.meta.dirname, '../src');

/** Folders by layer, highest first; a file imports from its own folder and from lower layers. */
const layers = [
  ['cli'],
  ['pipeline'],
  ['stages'],
  ['reinforcement'],
  ['evaluation', 'analysis', 'speed', 'report'],
  ['runs'],
  ['training', 'losses', 'generation', 'data'],
  ['checkpoint'],
  ['model', 'tokenizer'],
  ['tensor'],
  ['native'],
];

/** Folders and files of `src/` that import nothing of ours but each other, and that all may import. */
const foundations = ['config', 'errors.ts', 'files.ts', 'random.ts', 'statistics', 'time-limit.ts', 'visible.ts'];

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

/**
 * Import circles that there are for a reason, by what their files have in common. Imports of types count: to understand
 * one file of a circle is to understand them all.
 */
const knownCircles = [
  // A tensor knows its backend, and a backend and its kernels take tensors.
  /^tensor\/(tensor|backends\/(backend|kernels\/[\w-]+))\.ts$/,
  // The language refers to itself: an argument is an expression, map applies a filter, format reads attributes.
  /^data\/jinja\/(parse-expression|parse-arguments|parse-filters)\.ts$/,
  /^data\/jinja\/(filters|sequence-filters)\.ts$/,
  /^data\/jinja\/(attributes|methods|string-methods|format-braces)\.ts$/,
];

/** All that a file imports, and what these import. */
function reachedFrom(file: string, imports: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set<string>();
  const waiting = [...imports.get(file)!];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    waiting.push(...(imports.get(next) ?? []));
  }
  return reached;
}

it('imports in no circle', () => {
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  const reached = new Map(files.map((file) => [file, reachedFrom(file, imports)]));
  const circleOf = (file: string) => [...reached.get(file)!].filter((other) => reached.get(other)?.has(file));
  const circles = files.map(circleOf).filter((circle) => circle.length > 0);
  const isKnown = (circle: readonly string[]) => knownCircles.some((known) => circle.every((file) => known.test(file)));
  expect(circles.length).toBeGreaterThan(0);
  expect(circles.filter((circle) => !isKnown(circle))).toEqual([]);
});

it('lists every command, none of which imports another', () => {
  const commands = importsOf('cli/commands/index.ts').filter((file) => topOf(relative('cli', file)) === 'commands');
  const inFolder = files.filter((file) => /^cli\/commands\/(?!index)/.test(file));
  const importing = inFolder.filter((file) => importsOf(file).some((other) => other.startsWith('cli/commands/')));
  expect(commands.length).toBeGreaterThan(10);
  expect(commands.sort()).toEqual(inFolder.sort());
  expect(importing).toEqual([]);
});

it('names no single stage where all stages are run and recorded', () => {
  const named = new RegExp(`(['"\`])(${stages.map(({ name }) => name).join('|')})\\1`);
  const general = files.filter((file) => ['pipeline', 'runs'].includes(topOf(file)));
  expect(general.length).toBeGreaterThan(40);
  expect(general.filter((file) => named.test(readFileSync(join(source, file), 'utf8')))).toEqual([]);
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

it('has no docstring that begins with “The same”: each stands alone where an editor shows it', () => {
  const leaning = files.filter((file) =>
    /\/\*\*[\s*]*(The same|Same|As above)\b/.test(readFileSync(join(source, file), 'utf8')),
  );
  expect(leaning).toEqual([]);
});
