// Prepares this machine for the comparison: builds mixtune, installs the peers in a virtual environment, makes models.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
export const models = here('peers/models');
export const environment = here('peers/.venv');
export const python = `${environment}/bin/python`;
export const mixtune = here('../dist/cli/main.js');

/** Environment variables of the peers: no access to the hub, and a compiler cache kept in the virtual environment. */
export const peerVariables = {
  ...process.env,
  HF_HUB_OFFLINE: '1',
  TOKENIZERS_PARALLELISM: 'false',
  TORCHINDUCTOR_CACHE_DIR: `${environment}/inductor`,
};

/** Makes whatever is missing. The first time takes about ten minutes, mostly for compiling llama.cpp. */
export function prepare() {
  once('installing the peers', `${environment}/installed`, ['requirements.txt', 'requirements-ppo.txt'], () => {
    run('python3', '-m', 'venv', environment);
    const install = [python, '-m', 'pip', 'install', '--quiet'];
    run(...install, '--requirement', here('peers/requirements.txt'));
    const folder = `${environment}/ppo`;
    run(...install, '--no-deps', '--upgrade', '--target', folder, '--requirement', here('peers/requirements-ppo.txt'));
  });
  once('making the models', `${models}/made`, ['make_smollm2.py', 'make_rows.py'], () => {
    mkdirSync(models, { recursive: true });
    run(python, here('peers/make_smollm2.py'), models);
    run(python, here('peers/make_rows.py'), models);
  });
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: here('..'), stdio: ['ignore', 'ignore', 'inherit'] });
  run(process.execPath, mixtune, 'doctor'); // compiles the engine
}

/** Runs `make` unless it has already run with the same `sources` (files in bench/peers), recorded in the file `mark`. */
function once(title, mark, sources, make) {
  const wanted = sources.map((name) => readFileSync(here(`peers/${name}`), 'utf8')).join('\n');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return;
  console.error(`${title} (once)`);
  make();
  writeFileSync(mark, wanted);
}

function run(command, ...parameters) {
  execFileSync(command, parameters, { stdio: ['ignore', 'ignore', 'inherit'] });
}
