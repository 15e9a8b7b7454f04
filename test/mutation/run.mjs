/**
 * Changes the sources one place at a time and looks whether the tests near it notice: see README.md.
 *
 *     node test/mutation/run.mjs [--only TEXT] [--most NUMBER] [--fresh] [--trust] [--list] [--limit SECONDS]
 *         [--work FOLDER]
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { change, copyCheckout, runTests, treeKey } from './checkout.mjs';
import { keyOf, mutated, readMutations } from './mutations.mjs';

const root = resolve(import.meta.dirname, '../..');
const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    most: { type: 'string', default: '1e9' },
    fresh: { type: 'boolean', default: false },
    trust: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    limit: { type: 'string', default: '300' },
    work: { type: 'string', default: join(tmpdir(), 'mixtune-mutation') },
  },
});
const checkout = join(options.work, 'checkout');
const resultsFile = join(options.work, 'results.json');

/** Where files are read: the copy once it was made, so that nobody can change them while it is used. */
let source = root;
const contentOf = (path) => readFileSync(join(source, path), 'utf8');
const all = readMutations(join(import.meta.dirname, 'mutations'));
const chosen = all.filter(({ area, what, file }) =>
  options.only === undefined ? true : `${area} ${file} ${what}`.includes(options.only),
);

mkdirSync(options.work, { recursive: true });
const known = !options.fresh && existsSync(resultsFile) ? JSON.parse(readFileSync(resultsFile, 'utf8')) : {};
if (!options.list) await runMissing();
report();

/** Runs what has no result yet; each result is kept at once, so that a run can be ended and gone on with. */
async function runMissing() {
  const missing = chosen.filter((mutation) => mutation.unchanged === undefined && resultOf(mutation) === undefined);
  const possible = missing.filter((mutation) => problemOf(mutation) === undefined).slice(0, Number(options.most));
  if (possible.length === 0) return;
  copyCheckout(root, checkout);
  source = checkout;
  const broken = options.trust ? new Set() : await brokenTests(possible);
  for (const [i, mutation] of possible.entries()) {
    const begun = performance.now();
    const failing = mutation.tests.find((test) => broken.has(test));
    const result = failing ? { end: 'error', why: `${failing} fails without it` } : await endOf(mutation);
    const seconds = (performance.now() - begun) / 1000;
    console.log(`${i + 1}/${possible.length} ${result.end.padEnd(8)} ${seconds.toFixed(1)} s  ${nameOf(mutation)}`);
    const key = keyOf(mutation, contentOf);
    if (result.end === 'error') known[key] = result;
    else keep(key, { ...result, what: nameOf(mutation) });
  }
}

/** Test files that fail where nothing was changed: what they say of a mutation means nothing. */
async function brokenTests(mutations) {
  const tree = treeKey(checkout);
  const sound = new Set(known[tree]?.sound);
  const files = [...new Set(mutations.flatMap(({ tests }) => tests))].filter((file) => !sound.has(file));
  const broken = new Set();
  for (const file of files) {
    const { end, output } = await runTests(checkout, { tests: [file] }, 600);
    (end === 'passed' ? sound : broken).add(file);
    if (end !== 'passed') console.log(`${file} fails without any mutation\n${output.slice(-2000)}`);
    keep(tree, { sound: [...sound] });
  }
  return broken;
}

/** Errors are not kept: what was in the way may be gone the next time. */
function keep(key, result) {
  known[key] = result;
  const results = Object.entries(known).filter(([, { end }]) => end !== 'error');
  writeFileSync(resultsFile, `${JSON.stringify(Object.fromEntries(results), null, 1)}\n`);
}

async function endOf(mutation) {
  let restore;
  try {
    restore = change(checkout, mutation.file, mutated(contentOf(mutation.file), mutation));
  } catch (error) {
    return { end: 'error', why: `what it makes is no TypeScript: ${error.message ?? error}` };
  }
  try {
    const { end, output } = await runTests(checkout, mutation, Number(options.limit));
    if (end === 'crashed') return { end: 'error', why: `the tests could not be run: ${output.slice(-300)}` };
    return { end: { passed: 'survived', failed: 'noticed', late: 'late' }[end] };
  } finally {
    restore();
  }
}

function problemOf(mutation) {
  const absent = [mutation.file, ...mutation.tests].find((path) => !existsSync(join(source, path)));
  if (absent) return `there is no ${absent} any more`;
  try {
    mutated(contentOf(mutation.file), mutation);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

function resultOf(mutation) {
  return problemOf(mutation) === undefined ? known[keyOf(mutation, contentOf)] : undefined;
}

function nameOf({ file, what }) {
  return `${file}: ${what}`;
}

function endingOf(mutation) {
  const problem = problemOf(mutation);
  if (problem) return { end: 'error', why: problem };
  if (mutation.unchanged !== undefined) return { end: 'unchanged', why: mutation.unchanged };
  return resultOf(mutation) ?? { end: 'not run' };
}

/** A mutation counts as noticed when a test fails or never ends. */
function report() {
  const ends = chosen.map((mutation) => ({ mutation, ...endingOf(mutation) }));
  for (const end of ['unchanged', 'error', 'survived', 'not run']) {
    const these = ends.filter((found) => found.end === end);
    if (these.length > 0) console.log(`\n${end}:`);
    for (const { mutation, why } of these) console.log(`  ${nameOf(mutation)}${why ? `\n      ${why}` : ''}`);
  }
  const columns = ['noticed', 'late', 'survived', 'unchanged', 'error', 'not run'];
  const table = new Table({ head: ['area', 'mutations', ...columns], style: { head: [], border: [] } });
  const row = (name, these) => [name, these.length, ...columns.map((end) => these.filter((e) => e.end === end).length)];
  for (const area of new Set(chosen.map((mutation) => mutation.area))) {
    table.push(
      row(
        area,
        ends.filter(({ mutation }) => mutation.area === area),
      ),
    );
  }
  table.push(row('all', ends));
  const noticed = ends.filter(({ end }) => end === 'noticed' || end === 'late').length;
  const counted = ends.filter(({ end }) => end !== 'unchanged').length;
  console.log(`\n${table}\n${noticed} of ${counted} noticed: ${((100 * noticed) / counted).toFixed(1)} %`);
  process.exitCode = noticed === counted ? 0 : 1;
}
