/**
 * What `npm start`, `npm test` and `npm run build` call first, with nothing but Node and npm there: installs the
 * packages when package-lock.json has changed, compiles when sources have, and otherwise does nothing.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inRoot = (...parts) => join(root, ...parts);

install();
await build();

function install() {
  const stamp = inRoot('node_modules', '.mixtune-installed');
  const wanted = hashOf(['package-lock.json']);
  if (isStamped(stamp, wanted) || isNewer(inRoot('node_modules', '.package-lock.json'), inRoot('package-lock.json')))
    return;
  say('installing packages (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, wanted);
}

async function build() {
  const stamp = inRoot('dist', '.built');
  const sources = readdirSync(inRoot('src'), { recursive: true })
    .map((name) => join('src', name))
    .filter((name) => /\.(ts|json|py)$/.test(name))
    .sort();
  const wanted = hashOf([...sources, 'package.json', 'tsconfig.json', 'package-lock.json']);
  if (isStamped(stamp, wanted)) return;
  say('building (tsc)');
  const fresh = inRoot(`.dist-${process.pid}`);
  run(process.execPath, [inRoot('node_modules', 'typescript', 'bin', 'tsc'), '--outDir', fresh]);
  await bundle(join(fresh, 'cli'));
  chmodSync(join(fresh, 'cli', 'main.js'), 0o755);
  writeFileSync(join(fresh, '.built'), wanted);
  rmSync(inRoot('dist'), { recursive: true, force: true });
  renameSync(fresh, inRoot('dist'));
}

/**
 * Joins the command's own modules: Node takes half a second to load them one by one, in each process of a pipeline. The
 * library keeps its modules, and packages stay where npm put them.
 */
async function bundle(folder) {
  const { rolldown } = await import('rolldown');
  const command = await rolldown({ input: join(folder, 'main.js'), external: /^[^./]/, platform: 'node' });
  const names = { entryFileNames: 'main.js', chunkFileNames: 'bundled-[name].js' };
  await command.write({ dir: folder, format: 'esm', sourcemap: true, ...names });
  await command.close();
}

/** Were the packages installed by npm itself, after the lock file was last changed? */
function isNewer(installed, lock) {
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}

function isStamped(stamp, wanted) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

function hashOf(names) {
  const hash = createHash('sha256');
  for (const name of names)
    hash
      .update(`${name}\0`)
      .update(readFileSync(inRoot(name)))
      .update('\0');
  return hash.digest('hex');
}

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  } catch (error) {
    say(`${command} ${args.join(' ')} failed`);
    rmSync(inRoot(`.dist-${process.pid}`), { recursive: true, force: true });
    process.exit(error.status ?? 1);
  }
}

function say(message) {
  process.stderr.write(`mixtune: ${message}\n`);
}
