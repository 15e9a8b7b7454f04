import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcess;
  ended: Promise<Ended>;
}

const counterScript = resolve(import.meta.dirname, 'counter-cli.mjs');
const mixtuneScript = resolve(import.meta.dirname, '../../dist/cli/main.js');

/** The command line of the built program with the stages of `counter-stages.mjs`. */
export const startCounter = (cwd: string, ...args: string[]): Started => start(counterScript, cwd, args);

export const counter = (cwd: string, ...args: string[]): Promise<Ended> => startCounter(cwd, ...args).ended;

/** The command line as it is shipped. */
export const startMixtune = (cwd: string, ...args: string[]): Started => start(mixtuneScript, cwd, args);

export const mixtune = (cwd: string, ...args: string[]): Promise<Ended> => startMixtune(cwd, ...args).ended;

function start(script: string, cwd: string, args: readonly string[]): Started {
  const child = spawn(process.execPath, [script, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk;
  });
  const ended = new Promise<Ended>((done, failed) => {
    child.on('error', failed);
    child.on('close', (status, signal) => done({ status, signal, ...output }));
  });
  return { child, ended };
}

export interface LoggedRecord {
  type: string;
  step: number;
  [name: string]: unknown;
}

/** The complete lines of a node's metrics.jsonl. */
export async function records(node: string): Promise<LoggedRecord[]> {
  const file = join(node, 'metrics.jsonl');
  if (!existsSync(file)) return [];
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

/** Waits until a node has done so many steps. */
export async function untilStep(node: string, step: number): Promise<void> {
  await until(async () => (await records(node)).some((record) => record.type === 'step' && record.step >= step));
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(20);
}
