import type { ChildProcess } from 'node:child_process';
import { writeReport } from '../report/write-report.ts';
import { type ExecutionListener, execute, type NodeOutcome } from './executor.ts';
import { type NodeStatus, requireWritable } from './node-folder.ts';
import type { Plan } from './plan.ts';
import { writePlan } from './plan-file.ts';
import { listenForStop, type StopReason, stopStatus } from './stop.ts';

export interface PlanRun {
  outcomes: NodeOutcome[];
  seconds: number;
  /** Path of the report. */
  report: string;
  stopped: StopReason | undefined;
  /** Exit status of the command. */
  status: number;
}

export interface PlanRunOptions {
  statuses: ReadonlyMap<string, NodeStatus>;
  command: readonly string[];
  /** What followed `mixtune` on the command line. */
  arguments: readonly string[];
  jobs: number;
  threads: number;
  listener: ExecutionListener;
  /** Hears that children were told to stop. */
  stopping(reason: StopReason): void;
}

/** Runs what is not finished, forwards signals to it, and writes the report whatever came out. */
export async function runPlan(plan: Plan, options: PlanRunOptions): Promise<PlanRun> {
  await requireWritable(plan.directory);
  await writePlan(plan, options.arguments);
  const begun = Date.now();
  const children = new Set<ChildProcess>();
  const stop = listenForStop(
    (reason) => {
      for (const child of children) child.kill(reason === 'SIGINT' ? 'SIGINT' : 'SIGTERM');
      options.stopping(reason);
    },
    (reason) => {
      for (const { pid } of children) if (pid !== undefined) killGroup(pid);
      process.exit(stopStatus(reason));
    },
  );
  const outcomes = await execute(plan, { ...options, stop, children });
  const report = await writeReport(plan.directory);
  const seconds = (Date.now() - begun) / 1000;
  return { outcomes, seconds, report, stopped: stop.reason, status: statusOf(outcomes, stop.reason) };
}

/** A stop counts only where it cut something short; nodes that were all refused make the whole request a wrong one. */
function statusOf(outcomes: readonly NodeOutcome[], stopped: StopReason | undefined): number {
  const failed = outcomes.filter(({ status }) => status === 'failed');
  if (failed.length > 0) return failed.every(({ exitCode }) => exitCode === 2) ? 2 : 1;
  const unfinished = outcomes.some(({ status }) => status === 'stopped' || status === 'skipped');
  return stopped && unfinished ? stopStatus(stopped) : 0;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
