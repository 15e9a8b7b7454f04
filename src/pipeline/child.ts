import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { writeError } from '../checkpoint/write-error.ts';
import { fileNames } from '../runs/file-names.ts';
import { follow } from '../runs/follow.ts';
import { lastWords } from '../runs/log-file.ts';
import { heldOutOf, type MetricsRecord } from '../runs/records.ts';
import type { ExecutionListener, NodeOutcome } from './executor.ts';
import { type NodeStatus, prepareFolder } from './node-folder.ts';
import type { PlanNode } from './plan.ts';
import { isStopSignal, isStopStatus, type Stop } from './stop.ts';

export interface ChildOptions {
  /** Arguments of `node` that start this same command line: its script, and options before it. */
  command: readonly string[];
  /** Threads of each child. */
  threads: number;
  listener: ExecutionListener;
  /** Those that are running; whoever forwards signals reads it. */
  children: Set<ChildProcess>;
  stop: Stop;
}

/** What a child tells its parent beside its records. */
export interface ChildMessage {
  /** What a person should see at once. */
  warning: string;
}

/** Lines of a child's log that are shown when it failed. */
const shownLines = 30;

/** Runs one node in a child process of its own group, and tells the listener what the child's metrics.jsonl says. */
export async function runChild(node: PlanNode, status: NodeStatus, options: ChildOptions): Promise<NodeOutcome> {
  const { directory } = node.job;
  const aside = await prepareFolder(node, status);
  if (aside) options.listener.keptAside(node, aside);
  const logFile = join(directory, fileNames.log);
  const log = await open(logFile, 'a').catch((error) => {
    throw writeError(error, logFile);
  });
  const logStart = (await log.stat()).size;
  // A signal that comes from here on finds the child among those that it is passed on to.
  if (options.stop.reason) {
    await log.close();
    return { id: node.job.id, status: 'skipped', reason: options.stop.reason };
  }
  options.listener.started(node);
  const child = spawn(
    process.execPath,
    [...options.command, 'node', join(directory, fileNames.job), '--threads', String(options.threads)],
    { detached: true, stdio: ['ignore', log.fd, log.fd, 'ipc'] },
  );
  options.children.add(child);
  child.on('message', (message) => options.listener.warned(node, (message as ChildMessage).warning));
  try {
    const latest = new Map<string, MetricsRecord>();
    const evaluations: MetricsRecord[] = [];
    const exit = exitOf(child);
    await follow(directory, exit, (record) => {
      latest.set(record.type, record);
      if (record.type === 'eval') evaluations.push(record);
      options.listener.record(node, record);
    });
    const heldOut = heldOutOf(evaluations);
    const outcome = { ...outcomeOf(node, await exit, latest), ...(heldOut ? { heldOut } : {}) };
    if (outcome.status === 'failed')
      outcome.error = [outcome.error, await lastWords(directory, shownLines, logStart)].join('\n');
    options.listener.ended(node, outcome);
    return outcome;
  } finally {
    options.children.delete(child);
    await log.close();
  }
}

interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

function outcomeOf(node: PlanNode, { code, signal }: Exit, latest: ReadonlyMap<string, MetricsRecord>): NodeOutcome {
  const step = latest.get('step');
  const last = latest.get('done') ?? latest.get('stopped') ?? step;
  // One that has just been started does not listen yet, and a signal ends it.
  const isStopped = code === null ? isStopSignal(signal) : isStopStatus(code);
  const outcome: NodeOutcome = {
    id: node.job.id,
    status: code === 0 ? 'done' : isStopped ? 'stopped' : 'failed',
    exitCode: code ?? 128 + constants.signals[signal!],
    ...numbersOf(last, ['seconds', 'step']),
    ...numbersOf(step, ['loss']),
  };
  if (outcome.status === 'failed') outcome.error = signal ? `ended by ${signal}` : `exit status ${code}`;
  return outcome;
}

function numbersOf(record: MetricsRecord | undefined, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    names.flatMap((name) => (typeof record?.[name] === 'number' ? [[name, record[name]]] : [])),
  );
}
