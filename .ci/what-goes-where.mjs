/**
 * Adds a toy for every row of *What goes where* in docs/architecture.md to a copy of the sources, compiles them
 * together and runs each. Fails if a row has no addition, or if an addition needs a file that its row does not name.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rows, writeSamples } from './additions/rows.mjs';

const root = resolve(import.meta.dirname, '..');
const copy = realpathSync(mkdtempSync(join(tmpdir(), 'mixtune-additions-')));
const problems = [];

try {
  const table = rowsOfTheTable();
  for (const { name, named } of table) {
    if (rows[name] === undefined) problems.push(`${name}: no addition in .ci/additions/rows.mjs tests this row`);
    else requireNamed(name, named);
  }
  for (const name of Object.keys(rows)) {
    if (table.every((row) => row.name !== name)) problems.push(`${name}: the table no longer has this row`);
  }
  copySources();
  for (const { files, lines } of Object.values(rows)) add(files, lines);
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--outDir', 'dist'], {
    cwd: copy,
    stdio: 'inherit',
  });
  await tryAll();
} finally {
  process.chdir(root);
  rmSync(copy, { recursive: true, force: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

/** The rows of the table: the name of each, and everything it names in backticks (files, folders, lists in files). */
function rowsOfTheTable() {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const table = /## What goes where\n\n[^\n]+\n[^\n]+\n((?:\|[^\n]*\n)+)/.exec(text)[1];
  return table
    .trim()
    .split('\n')
    .map((line) => {
      const [, name, ...cells] = line.split('|').map((cell) => cell.trim());
      return { name, named: [...cells.join(' ').matchAll(/`([^`]+)`/g)].map(([, path]) => path) };
    });
}

/** Reports the files of an addition that its row does not name. */
function requireNamed(row, named) {
  const { files, lines } = rows[row];
  const isNamed = (file) =>
    named.some((path) => (path.endsWith('/') ? file.startsWith(path) : file === path.replace('<name>', 'toy')));
  for (const file of [...files, ...Object.keys(lines)]) {
    if (!isNamed(file)) problems.push(`${row}: needs ${file}, which the row does not name`);
  }
}

function copySources() {
  for (const part of ['src', 'pipelines', 'datasets', 'tasks', 'package.json', 'tsconfig.json']) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}

function add(files, lines) {
  for (const file of files)
    cpSync(join(root, '.ci/additions', file), join(copy, file), { errorOnExist: true, force: false });
  for (const [file, changes] of Object.entries(lines)) {
    let text = readFileSync(join(copy, file), 'utf8');
    for (const [before, after] of changes) {
      const changed = text.replace(before, () => after);
      if (changed === text) throw new Error(`${file} does not contain ${before}, where an addition is to be listed`);
      text = changed;
    }
    writeFileSync(join(copy, file), text);
  }
}

async function tryAll() {
  const at = (path) => import(pathToFileURL(join(copy, 'dist', path)).href);
  const work = join(copy, 'work');
  cpSync(join(copy, 'datasets'), join(work, 'datasets'), { recursive: true });
  process.chdir(work);
  await writeSamples();
  const { runCommandLine } = await at('cli/program.js');
  const { stages } = await at('stages/index.js');

  /** Runs a mixtune command in the working folder. */
  const command = async (...argv) => {
    let out = '';
    const { write } = process.stdout;
    process.stdout.write = (text) => {
      out += text;
      return true;
    };
    const status = await runCommandLine(argv, stages).finally(() => {
      process.stdout.write = write;
    });
    return { status, out };
  };

  /** A model of a preset's sizes with the changes in `changed`, written to `folder` and read back. */
  const saved = async (folder, changed) => {
    const [{ saveModel, loadModel }, { PortableBackend }, { initialiseModel }, { presetConfig }, { trainTokenizer }] = [
      await at('checkpoint/load-model.js'),
      await at('tensor/backends/portable.js'),
      await at('model/initialise.js'),
      await at('model/presets.js'),
      await at('tokenizer/train.js'),
    ];
    const backend = new PortableBackend();
    const tokenizer = trainTokenizer(['snow on the old pond '.repeat(9)], { vocabSize: 270 });
    const norm = { name: 'pre', settings: {} };
    const config = { ...presetConfig('1m'), vocabSize: tokenizer.vocabSize, layers: 2, norm, ...changed };
    mkdirSync(folder);
    await saveModel(folder, await initialiseModel(config, backend, 1), { tokenizer });
    return (await loadModel(folder, backend)).model;
  };

  /** softplus(0) and its derivative there, computed on a backend. */
  const slope = async (name) => {
    const [{ openBackend }, { softplus }] = [await at('tensor/backends/open.js'), await at('tensor/fused/toy.js')];
    const [{ Tape }, { filled, scope }] = [await at('tensor/tape.js'), await at('tensor/scope.js')];
    const { backend } = await openBackend({ backend: name });
    const [x, dx] = scope(() => [filled(backend, [1], 0), filled(backend, [1], 0)], { adopt: false });
    const tape = new Tape(new Map([[x, dx]]));
    const output = tape.record(() => softplus(x));
    tape.backward(output);
    const [y, gradient] = [await backend.read(output), await backend.read(dx)];
    return { y: y[0].toFixed(3), dx: gradient[0].toFixed(3) };
  };

  for (const [name, { works }] of Object.entries(rows)) {
    try {
      await works({ at, command, saved, slope });
      console.log(`${name}: works`);
    } catch (error) {
      problems.push(`${name}: ${error.stack}`);
    }
  }
}
