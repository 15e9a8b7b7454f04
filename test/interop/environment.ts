import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const folder = import.meta.dirname;
const environment = resolve(folder, '../../.venv/interop');
export const interpreter = join(environment, 'bin', 'python');
const transformers4 = join(environment, 'transformers-4');

/** Releases of transformers that both have to understand what we write, and we what they write. */
export const transformersReleases = ['5.23.0', '4.57.6'] as const;
export type TransformersRelease = (typeof transformersReleases)[number];

/** Makes the pinned Python environment, once for each state of the requirement files. */
export default async function makeEnvironment(): Promise<void> {
  const requirements = ['requirements.txt', 'requirements-transformers-4.txt'].map((name) => join(folder, name));
  const texts = await Promise.all(requirements.map((path) => readFile(path, 'utf8')));
  const state = createHash('sha256').update(texts.join('\n')).digest('hex');
  const stamp = join(environment, 'state');
  if ((await readFile(stamp, 'utf8').catch(() => '')) === state) return;
  process.stderr.write('interop: installing PyTorch and transformers into .venv/interop (once)\n');
  await run(process.env.PYTHON ?? 'python3', ['-m', 'venv', '--clear', environment]);
  const install = [interpreter, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'] as const;
  await run(install[0], [...install.slice(1), '-r', requirements[0]!]);
  await run(install[0], [...install.slice(1), '--target', transformers4, '-r', requirements[1]!]);
  await writeFile(stamp, state);
}

/** Runs a script of this folder without network under one release of transformers; its output is one JSON document. */
export async function python<T>(release: TransformersRelease, script: string, args: readonly string[]): Promise<T> {
  const { stdout } = await run(interpreter, [join(folder, script), ...args], {
    maxBuffer: 1 << 28,
    env: {
      ...process.env,
      PYTHONPATH: release.startsWith('4.') ? transformers4 : '',
      HF_HUB_OFFLINE: '1',
      HF_HOME: join(environment, 'huggingface'),
    },
  });
  return JSON.parse(stdout) as T;
}
