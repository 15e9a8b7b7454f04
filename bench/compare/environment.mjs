// What the comparison needs on this machine: mixtune built, the peers in a virtual environment, and the models.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
export const models = here('peers/models');
export const environment = here('peers/.venv');
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

/** Runs `make` unless it was run before from the same `sources` (files of bench/peers), which `mark` remembers. */
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
