// mixtune against PyTorch, transformers, llama.cpp and TRL on this machine, in one run.
//
//   node bench/compare.mjs                        every row but the slow ones (dpo, grpo, ppo); about 13 minutes
//   node bench/compare.mjs train-71m decode       only these rows
//   node bench/compare.mjs --rows dpo,grpo,ppo --rounds 1
//   node bench/compare.mjs --json > results.json
//   node bench/compare.mjs --keep "AMD Zen 5"     adds the run to bench/results and to the README's table
//
// It builds mixtune and, the first time, installs the peers in bench/peers/.venv and makes the models in
// bench/peers/models (needs python3 with venv and a C++ compiler; about ten minutes and 6 GB). The programs of a row
// take turns in each round, and the best of all rounds counts: other load on the machine only ever makes a run slower.
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { prepare } from './compare/environment.mjs';
import { keepRun } from './compare/results.mjs';
import { rows } from './compare/rows.mjs';
import { resultOf, tableOf } from './compare/table.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: 'string', default: '' },
    rounds: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
if (!Number.isInteger(rounds) || rounds < 1) fail(`--rounds ${options.rounds}: expected a whole number of at least 1`);
const wanted = [...positionals, ...options.rows.split(',')].filter(Boolean);
const unknown = wanted.filter((name) => !rows.some((row) => row.name === name));
if (unknown.length > 0) fail(`no such row: ${unknown}\n→ hint: ${rows.map(({ name }) => name).join(' ')}`);

prepare();
const selected = rows.filter(({ name, slow }) => (wanted.length > 0 ? wanted.includes(name) : !slow));
const results = [];
for (const row of selected) results.push(resultOf(row, await measure(row)));
const machine = `${cpus()[0].model.trim()}, ${availableParallelism()} cores, best of ${rounds} rounds`;
if (options.json) console.log(JSON.stringify({ machine, rounds, results }, null, 2));
else console.log(`${machine}\n${tableOf(results)}`);
if (options.keep)
  keepRun(options.keep, { date: new Date().toISOString().slice(0, 10), commit: headCommit(), rounds, results });

/**
 * All measurements of a row, by program; each program has one turn per round. Programs that are only shown (`others`)
 * may fail: llama.cpp's q8_0 crashes on some processors.
 */
async function measure(row) {
  const measured = {};
  const programs = {};
  const turn = async (name, take) => {
    try {
      await take();
    } catch (error) {
      if (!row.others?.[name]) throw error;
      console.error(`${row.name}: ${name} is left out: ${error.message.trim()}`);
      delete programs[name];
      delete measured[name];
    }
  };
  try {
    for (const [name, start] of Object.entries({ mixtune: row.mixtune, ...row.peers, ...row.others }))
      await turn(name, async () => {
        programs[name] = await start();
        measured[name] = [];
      });
    for (let round = 1; round <= rounds; round++)
      for (const name of Object.keys(programs))
        await turn(name, async () => {
          const result = await programs[name].measure();
          measured[name].push(result);
          console.error(`${row.name}, round ${round}: ${name} ${row.speed(result).toFixed(2)} ${row.unit}`);
        });
  } finally {
    for (const program of Object.values(programs)) await program.close();
  }
  return measured;
}

/** The commit that is checked out, followed by a + if files have changed since. */
function headCommit() {
  const git = (...args) => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') ? '+' : '');
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
