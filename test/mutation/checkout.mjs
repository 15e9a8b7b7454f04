import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transformSync } from '@swc/wasm-typescript';

/** A throw-away copy of a checkout, built: node_modules in hard links, everything else in copies. */
export function copyCheckout(root, folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root, encoding: 'utf8' });
  for (const path of new Set(listed.split('\0').filter(Boolean))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(join(root, path), join(folder, path), { preserveTimestamps: true });
  }
  execFileSync('cp', ['-al', join(root, 'node_modules'), join(folder, 'node_modules')]);
  // Vitest writes there, and files with hard links are those of the checkout too.
  rmSync(join(folder, 'node_modules/.vite'), { recursive: true, force: true });
  if (existsSync(join(root, 'dist'))) cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
  execFileSync(process.execPath, ['src/setup.mjs'], { cwd: folder });
}

/** A hash of all sources and tests. */
export function treeKey(folder) {
  const hash = createHash('sha256');
  for (const part of ['src', 'test']) {
    for (const name of readdirSync(join(folder, part), { recursive: true }).sort()) {
      const path = join(folder, part, name);
      if (statSync(path).isFile()) hash.update(`${part}/${name}\0`).update(readFileSync(path));
    }
  }
  return hash.digest('hex').slice(0, 24);
}

/**
 * Changes a source file in the copy, and what is built of it for tests that start the command; returns the way back.
 */
export function change(folder, file, source) {
  const built = file.replace(/^src/, 'dist').replace(/\.ts$/, '.js');
  const { code } = transformSync(source, { mode: 'strip-only' });
  const contents = [
    [join(folder, file), source],
    [join(folder, built), code.replaceAll(/((?:from|import\()\s*'\.[^']*)\.ts'/g, "$1.js'")],
  ];
  const before = contents.map(([path]) => [path, readFileSync(path)]);
  for (const [path, content] of contents) writeFileSync(path, content);
  return () => {
    for (const [path, content] of before) writeFileSync(path, content);
  };
}

/** Ends the tests that run, with whatever they have started. */
let endTests = () => {};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    endTests();
    process.exit(1);
  });
}

/**
 * Runs test files in the copy: `passed`, `failed`, `late` beyond the limit, or `crashed` without a test that failed.
 */
export async function runTests(folder, { tests, name }, seconds) {
  const command = [
    ['node_modules/vitest/vitest.mjs', 'run', '--bail', '1', '--reporter', 'dot'],
    // All files but the changed one are those of the run before.
    ['--experimental.fsModuleCache', '--experimental.fsModuleCachePath=../modules'],
    name === undefined ? [] : [`--testNamePattern=${name}`],
    tests,
  ].flat();
  // A group of its own, which can be ended as a whole.
  const child = spawn(process.execPath, command, {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text) => {
      output = (output + text).slice(-20_000);
    });
  }
  let isLate = false;
  endTests = () => process.kill(-child.pid, 'SIGKILL');
  const timer = setTimeout(() => {
    isLate = true;
    endTests();
  }, seconds * 1000);
  const code = await new Promise((resolve) => child.on('exit', resolve));
  clearTimeout(timer);
  endTests = () => {};
  if (code === 0 || isLate) return { end: isLate ? 'late' : 'passed', output };
  return { end: /\bFAIL\b|Unhandled/.test(output) ? 'failed' : 'crashed', output };
}
