// Training speed of preset 71m, batch 8 × 256, against PyTorch + transformers on this machine in this run.
//
//   npm run build && node bench/compare-train.mjs [--rounds 3] [--steps 5] [--python PATH]
//
// The four runs (two programs, two precisions) are interleaved, and the best of the rounds counts: what else the
// machine does only ever makes a run slower. Without --python a virtual environment is made in bench/peers/.venv.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '5' },
    python: { type: 'string' },
  },
});
const python = options.python ?? peerEnvironment();
const shape = ['--batch', '8', '--length', '256', '--steps', options.steps];
const programs = {
  PyTorch: (precision) => measure(python, [here('peers/torch_train.py'), ...shape, '--precision', precision]),
  mixtune: (precision) =>
    measure(process.execPath, [
      here('../dist/cli/main.js'),
      ...['bench', 'train', '--preset', '71m', ...shape, '--precision', precision, '--json'],
    ]),
};

const best = { f32: {}, bf16: {} };
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const [precision, runs] of Object.entries(best)) {
    for (const [name, run] of Object.entries(programs)) {
      const result = run(precision);
      console.error(`round ${round}: ${name} ${precision} ${result.tokensPerSecond.toFixed(0)} tokens/s`);
      runs[name] = {
        tokensPerSecond: Math.max(result.tokensPerSecond, runs[name]?.tokensPerSecond ?? 0),
        gflops: Math.max(result.gflops, runs[name]?.gflops ?? 0),
        gemmGflops: Math.max(result.gemmGflops ?? 0, runs[name]?.gemmGflops ?? 0),
        peakRssBytes: Math.min(result.peakRssBytes, runs[name]?.peakRssBytes ?? Number.POSITIVE_INFINITY),
      };
    }
  }
}

const table = new Table({
  head: ['precision', 'program', 'tokens/s', 'ratio', 'GFLOP/s', 'of GEMM peak', 'peak memory'],
  colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right'],
  style: { head: [], border: [] },
});
for (const [precision, runs] of Object.entries(best)) {
  const peer = runs.PyTorch;
  for (const [name, run] of Object.entries(runs)) {
    table.push([
      precision,
      name,
      run.tokensPerSecond.toFixed(0),
      `${(run.tokensPerSecond / peer.tokensPerSecond).toFixed(2)}×`,
      run.gflops.toFixed(0),
      `${((100 * run.gflops) / peer.gemmGflops).toFixed(0)} %`,
      `${(run.peakRssBytes / 1e9).toFixed(2)} GB`,
    ]);
  }
}
console.log(
  `${cpus()[0].model.trim()}, ${availableParallelism()} cores; preset 71m, batch 8 × 256, best of ${options.rounds} rounds`,
);
console.log(table.toString());
console.log('GEMM peak: PyTorch, 2048 × 2048 × 2048 in the same precision.');

function measure(program, args) {
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
}

function peerEnvironment() {
  const folder = here('peers/.venv');
  const interpreter = `${folder}/bin/python`;
  if (!existsSync(`${folder}/complete`)) {
    execFileSync('python3', ['-m', 'venv', folder], { stdio: 'inherit' });
    execFileSync(interpreter, ['-m', 'pip', 'install', '--quiet', '--requirement', here('peers/requirements.txt')], {
      stdio: 'inherit',
    });
    execFileSync('touch', [`${folder}/complete`]);
  }
  return interpreter;
}
