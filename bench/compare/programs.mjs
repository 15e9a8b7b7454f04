// The measured programs. Each has `measure()`, which resolves to an object of numbers, and `close()`.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { here, mixtune, peerVariables, python } from './environment.mjs';

const run = promisify(execFile);

/** A peer that prepares once and then measures on request (peers/worker.py). */
export async function servedPeer(script, parameters) {
  const child = spawn(python, [here(`peers/${script}`), ...parameters, '--serve'], {
    env: peerVariables,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (data) => {
    complaints = (complaints + data).slice(-2000);
  });
  const exit = once(child, 'exit').then(([status]) => {
    throw new Error(`${script} ended with status ${status}: ${complaints}`);
  });
  exit.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await Promise.race([lines.next(), exit])).value ?? (await exit));
  await next();
  return {
    measure() {
      child.stdin.write('\n');
      return next();
    },
    async close() {
      child.stdin.end();
      await exit.catch(() => {});
    },
  };
}

/** A peer that is restarted for each measurement. */
export function peer(script, parameters, variables = {}) {
  return anew(() => output(python, [here(`peers/${script}`), ...parameters], { ...peerVariables, ...variables }));
}

/** `mixtune bench …`. */
export function mixtuneBench(...parameters) {
  return anew(() => output(process.execPath, [mixtune, 'bench', ...parameters, '--json']));
}

/**
 * A stage by itself. Measures the seconds from its start to the end of its first step, the mean seconds of a step
 * (loading included), and the mean seconds of a step after the first.
 */
export function mixtuneStage(stage, parameters, steps) {
  return anew(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mixtune-compare-'));
    try {
      const begun = performance.now();
      let running = true;
      const flags = ['--steps', String(steps), '--out', `${folder}/run`];
      const ended = run(process.execPath, [mixtune, stage, ...parameters, ...flags]).finally(() => {
        running = false;
      });
      while (running && (await stepsOf(folder)).length === 0) await delay(10);
      const firstStepSeconds = (performance.now() - begun) / 1000;
      await ended;
      const ends = (await stepsOf(folder)).map(({ seconds }) => seconds);
      const stepSeconds = ends.at(-1) / steps;
      const laterStepSeconds = (ends.at(-1) - ends[0]) / (steps - 1);
      const { peakRssBytes } = (await recordsOf(folder)).find(({ type }) => type === 'done');
      return { firstStepSeconds, stepSeconds, laterStepSeconds, peakRssBytes };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

const stepsOf = async (folder) => (await recordsOf(folder)).filter(({ type }) => type === 'step');

async function recordsOf(folder) {
  const text = await readFile(`${folder}/run/metrics.jsonl`, 'utf8').catch(() => '');
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  return complete
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** A program that runs in a new process for each measurement. */
const anew = (measure) => ({ measure, close: async () => {} });

/** The JSON document at the end of a command's output. */
async function output(command, parameters, env = process.env) {
  const { stdout } = await run(command, parameters, { env, maxBuffer: 1 << 26 });
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1));
}
