import { type ChildProcess, spawn } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { runCommandLine } from '../../src/cli/program.ts';
import { stages } from '../../src/stages/index.ts';
import type { Stage } from '../../src/stages/stage.ts';
import { stages as counterStages } from './counter-stages.mjs';
import { inProcess } from './in-process.ts';

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcess;
  /** What it has said so far on standard error. */
  said(): string;
  ended: Promise<Ended>;
}

const counterScript = resolve(import.meta.dirname, 'counter-cli.mjs');
const mixtuneScript = resolve(import.meta.dirname, '../../dist/cli/main.js');

/** A process of the built program with the stages of `counter-stages.mjs`. */
export const startCounter = (cwd: string, ...args: string[]): Started => start(counterScript, cwd, args);

/** The command line with the stages of `counter-stages.mjs`, in this process, and so are the nodes of a pipeline. */
export const counter = (cwd: string, ...args: string[]): Promise<Ended> =>
  here(counterScript, counterStages, cwd, args);

/** A process of the program as it is shipped. */
export const startMixtune = (cwd: string, ...args: string[]): Started => start(mixtuneScript, cwd, args);

/** The command line as it is shipped, in this process, and so are the nodes of a pipeline. */
export const mixtune = (cwd: string, ...args: string[]): Promise<Ended> => here(mixtuneScript, stages, cwd, args);

/** Runs a command line as `script` would, and leaves the process as it was. One at a time. */
async function here(script: string, own: readonly Stage[], cwd: string, args: readonly string[]): Promise<Ended> {
  const { argv, execArgv } = process;
  const streams = [process.stdout, process.stderr] as const;
  const before = { cwd: process.cwd(), terminals: streams.map(({ isTTY }) => isTTY), listeners: listeners() };
  const texts = ['', ''];
  for (const [i, stream] of streams.entries()) {
    stream.isTTY = false;
    stream.write = (text: unknown) => {
      texts[i] += String(text);
      return true;
    };
  }
  // A command that listens for its parent's end does not wait for its words; the worker of a test does.
  const awake = setInterval(() => undefined, 1000);
  process.chdir(cwd);
  process.argv = [process.execPath, script, ...args];
  process.execArgv = [];
  try {
    const status = await runCommandLine(args, own, [inProcess(own)]);
    return { status, signal: null, stdout: texts[0]!, stderr: texts[1]! };
  } finally {
    for (const [i, stream] of streams.entries()) {
      Reflect.deleteProperty(stream, 'write');
      stream.isTTY = before.terminals[i]!;
    }
    Object.assign(process, { argv, execArgv });
    process.chdir(before.cwd);
    for (const [emitter, event, listener] of listeners())
      if (!before.listeners.some(([...known]) => known[0] === emitter && known[1] === event && known[2] === listener))
        emitter.removeListener(event, listener);
    process.channel?.ref();
    clearInterval(awake);
  }
}

type Listener = (...args: unknown[]) => void;

const listeners = (): [EventEmitter, string | symbol, Listener][] =>
  [process, process.stdout, process.stderr].flatMap((emitter: EventEmitter) =>
    emitter
      .eventNames()
      .flatMap((event) =>
        emitter
          .rawListeners(event)
          .map((listener): [EventEmitter, string | symbol, Listener] => [emitter, event, listener as Listener]),
      ),
  );

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
  return { child, said: () => output.stderr, ended };
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

/** Lets a counter go on that waits in a step (`holdAt`). */
export const letGo = (node: string): Promise<void> => writeFile(join(node, 'go'), '');

/** Waits until a node has done so many steps. */
export async function untilStep(node: string, step: number): Promise<void> {
  await until(async () => (await records(node)).some((record) => record.type === 'step' && record.step >= step));
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(20);
}
