// node .ci/same-losses.mjs RUN OTHER BOUND: compares every loss of every node in two runs of a pipeline, step by step.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [run, other, bound] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const logs = readdirSync(run, { recursive: true })
  .filter((file) => file.endsWith('metrics.jsonl'))
  .sort();
const recordsOf = (folder, log) =>
  readFileSync(join(folder, log), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

let compared = 0;
let largest = 0;
for (const log of logs) {
  const [records, others] = [recordsOf(run, log), recordsOf(other, log)];
  if (records.length !== others.length) throw new Error(`${log} has ${records.length} and ${others.length} records`);
  for (const [i, record] of records.entries()) {
    for (const key of Object.keys(record).filter((name) => /loss$/i.test(name))) {
      const difference = Math.abs(record[key] - others[i][key]);
      if (!(difference <= bound))
        throw new Error(`${log}, ${record.type} of step ${record.step}: ${key} ${record[key]} and ${others[i][key]}`);
      largest = Math.max(largest, difference);
      compared++;
    }
  }
}
if (compared === 0) throw new Error(`no losses in ${run}`);
console.log(`${compared} losses of ${logs.length} logs differ by at most ${largest.toExponential(1)}`);
