// The kept runs (in `bench/results`, one file per machine), and the README's table of them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const folder = new URL('../results/', import.meta.url);
const readme = new URL('../../README.md', import.meta.url);
const section = /(<!-- speeds: [^\n]*-->\n)[\s\S]*(<!-- \/speeds -->)/;

/** Rows of the README's table; those with `memory` count towards its line about memory. */
const shown = [
  { name: 'train-71m', title: 'training preset `71m`, 8 × 256', memory: true },
  { name: 'train-20m', title: 'training `20m`', memory: true },
  { name: 'train-9m', title: 'training `9m`', memory: true },
  { name: 'train-smollm2', title: 'training SmolLM2-135M, 4 × 512', memory: true },
  { name: 'train-71m-f32', title: 'training `71m` in f32', memory: true },
  { name: 'generate-71m', title: 'generation, `71m`, 16 × (128 + 64)' },
  { name: 'generate-smollm2', title: 'generation, SmolLM2-135M, 16 × (128 + 64)' },
  { name: 'decode', title: 'decoding SmolLM2-135M, one sequence' },
  { name: 'prefill-128', title: 'prefill of SmolLM2-135M, 128 tokens' },
  { name: 'prefill-1024', title: 'prefill of SmolLM2-135M, 1,024 tokens' },
];

/**
 * Adds a run to the file of its machine, and rewrites the README's table.
 * The run is { date, commit, rounds, results }, with results as returned by `resultOf`.
 */
export function keepRun(machine, { results, ...run }) {
  mkdirSync(folder, { recursive: true });
  const file = new URL(`${machine.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.json`, folder);
  const kept = readMachines().find((other) => other.machine === machine) ?? { machine, runs: [] };
  const rows = Object.fromEntries(
    results
      .filter(({ ratio }) => ratio !== undefined)
      .map(({ name, programs, bestPeer, ratio, memoryRatio }) => [
        name,
        { speed: programs.mixtune.speed, ratio, peer: bestPeer, memoryRatio },
      ]),
  );
  writeFileSync(file, `${JSON.stringify({ ...kept, runs: [...kept.runs, { ...run, rows }] }, null, 2)}\n`);
  writeFileSync(readme, withSpeeds(readFileSync(readme, 'utf8')));
}

/** The README's text with an up-to-date table of the kept runs. */
export function withSpeeds(text) {
  return text.replace(section, (_, before, after) => `${before}${speedsTable(readMachines())}\n${after}`);
}

function readMachines() {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return files.sort().map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')));
}

function speedsTable(machines) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const measured = (runs, name) => runs.map(({ rows }) => rows[name]).filter((row) => row !== undefined);
  const memory = ({ runs }) =>
    shown
      .filter((row) => row.memory)
      .flatMap(({ name }) => measured(runs, name))
      .map(({ memoryRatio }) => memoryRatio)
      .filter((ratio) => ratio !== undefined);
  return [
    line(['work', ...machines.map(({ machine }) => machine)]),
    `|---|${machines.map(() => '---|').join('')}`,
    ...shown.map(({ name, title }) => line([title, ...machines.map(({ runs }) => cellOf(measured(runs, name)))])),
    line(["peak memory in training, as a share of PyTorch's", ...machines.map((machine) => rangeOf(memory(machine)))]),
  ].join('\n');
}

/** A cell of the table: the range of the ratios of all runs, and the best speed. */
function cellOf(measurements) {
  if (measurements.length === 0) return '';
  const speed = Math.max(...measurements.map((one) => one.speed));
  return `${rangeOf(measurements.map(({ ratio }) => ratio))} × (${Math.round(speed).toLocaleString('en')} tokens/s)`;
}

function rangeOf(values) {
  if (values.length === 0) return '';
  const [least, most] = [Math.min(...values).toFixed(2), Math.max(...values).toFixed(2)];
  return least === most ? least : `${least}–${most}`;
}
