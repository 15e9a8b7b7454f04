// What the comparison needs on this machine: mixtune built, the peers in a virtual environment, and the models.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
export const models = here('peers/models');
const environment = here('peers/.venv');
export const python = `${environment}/bin/python`;
export const mixtune = here('../dist/cli/main.js');

/** What the peers' processes see: no hub, and a compiler cache that lives as long as the environment does. */
export const peerVariables = {
  ...process.env,
  HF_HUB_OFFLINE: '1',
  TOKENIZERS_PARALLELISM: 'false',
  TORCHINDUCTOR_CACHE_DIR: `${environment}/inductor`,
};

/** Makes whatever is missing. The first time takes about ten minutes, most of it llama.cpp's compilation. */
export function prepare() {
  step(`${environment}/complete`, 'installing the peers (once)', () => {
    run('python3', ['-m', 'venv', environment]);
    run(python, ['-m', 'pip', 'install', '--quiet', '--requirement', here('peers/requirements.txt')]);
    // The last TRL with PPO, beside the one that the requirements name.
    const folder = `${environment}/trl-1.12`;
    run(python, ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, 'trl==1.12.0']);
  });
  step(`${models}/complete`, 'making the models (once)', () => {
    mkdirSync(models, { recursive: true });
    run(python, [here('peers/make_smollm2.py'), models]);
    run(python, [here('peers/make_rows.py'), models]);
  });
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: here('..'), stdio: ['ignore', 'ignore', 'inherit'] });
}

function step(mark, title, make) {
  if (existsSync(mark)) return;
  console.error(title);
  make();
  writeFileSync(mark, '');
}

function run(command, parameters) {
  execFileSync(command, parameters, { stdio: ['ignore', 'ignore', 'inherit'], env: process.env });
}
