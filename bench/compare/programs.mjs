// Programs that are measured. Each has `measure()`, which resolves to an object of numbers, and `close()`.
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

/** A peer that gets ready once and then measures when it is asked to (peers/worker.py). */
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

/** A peer that is started anew for each measurement. */
export function peer(script, parameters, variables = {}) {
  const environment = { ...peerVariables, ...variables };
  return once_(() => output(python, [here(`peers/${script}`), ...parameters], { env: environment }));
}

/** `mixtune bench …` in a process of its own. */
export function mixtuneBench(...parameters) {
  return once_(() => output(process.execPath, [mixtune, 'bench', ...parameters, '--json']));
}

/** A stage from its start, in a process of its own: seconds to the end of its first step, and of each step on average. */
export function mixtuneStage(stage, parameters, steps) {
  return once_(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mixtune-compare-'));
    try {
      const begun = performance.now();
      const flags = [mixtune, stage, ...parameters, '--steps', String(steps), '--out', `${folder}/run`];
      const child = spawn(process.execPath, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
      let complaints = '';
      child.stderr.on('data', (data) => {
        complaints = (complaints + data).slice(-2000);
      });
      let status;
      child.on('exit', (code) => {
        status = code;
      });
      let firstStepSeconds;
      while (status === undefined) {
        if (!firstStepSeconds && (await stepsOf(folder)).length > 0) {
          firstStepSeconds = (performance.now() - begun) / 1000;
        }
        await delay(10);
      }
      if (status !== 0) throw new Error(`mixtune ${stage} ended with status ${status}: ${complaints}`);
      const records = await recordsOf(folder);
      const done = records.find(({ type }) => type === 'done');
      const stepSeconds = records.filter(({ type }) => type === 'step').at(-1).seconds / steps;
      return { firstStepSeconds, stepSeconds, peakRssBytes: done.peakRssBytes };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

const stepsOf = async (folder) => (await recordsOf(folder)).filter(({ type }) => type === 'step');

async function recordsOf(folder) {
  const text = await readFile(`${folder}/run/metrics.jsonl`, 'utf8').catch(() => '');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}

const once_ = (measure) => ({ measure, close: async () => {} });

async function output(command, parameters, options = {}) {
  const { stdout } = await promisify(execFile)(command, parameters, { ...options, maxBuffer: 1 << 26 });
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1));
}
