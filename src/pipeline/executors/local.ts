import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { writeError } from '../../checkpoint/write-error.ts';
import { fileNames } from '../../runs/file-names.ts';
import { isStopSignal } from '../stop.ts';
import type { ExecutorKind } from './executor.ts';
import { type Departure, followNode } from './follow-node.ts';

/** A message from a child to its parent, in addition to what the child writes into its folder. */
export interface ChildMessage {
  /** A message that should be seen at once. */
  warning: string;
}

/** Runs each node in a child process with its own process group, so that a terminal does not send it signals. */
export const localExecutor: ExecutorKind = {
  name: 'local',
  open: ({ command, jobs, threads }) => ({
    limit: jobs,
    start(node, hears) {
      const { directory } = node.job;
      const log = openedLog(join(directory, fileNames.log));
      const child = spawn(
        process.execPath,
        [...command, 'node', join(directory, fileNames.job), '--threads', String(threads)],
        { detached: true, stdio: ['ignore', log, log, 'ipc'] },
      );
      closeSync(log);
      child.on('message', (message) => hears.warned(node, (message as ChildMessage).warning));
      return {
        outcome: followNode(node, hears, departureOf(child)),
        stop: (reason) => child.kill(reason === 'parent gone' ? 'SIGTERM' : reason),
        save: () => child.kill('SIGUSR1'),
        kill: () => signalGroup(child, 'SIGKILL'),
        suspend: () => signalGroup(child, 'SIGSTOP'),
        resume: () => signalGroup(child, 'SIGCONT'),
      };
    },
  }),
};

function openedLog(file: string): number {
  try {
    return openSync(file, 'a');
  } catch (error) {
    throw writeError(error, file);
  }
}

/** How a child ended. A child that was only just started does not handle signals yet, so a stop signal ends it. */
function departureOf(child: ChildProcess): Promise<Departure> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      const message = signal ? `ended by ${signal}` : `exit status ${code}`;
      resolve({ message, stopped: isStopSignal(signal) ? signal : undefined, refused: code === 2 });
    });
  });
}

/** Sends a signal to a child and all processes that it has started. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
