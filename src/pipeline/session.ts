import type { Warn } from '../runs/log-file.ts';
import type { NodeJob } from '../runs/node-file.ts';
import type { NodeProgress } from '../runs/progress.ts';
import type { RecordLog } from '../runs/record-log.ts';
import type { Engine } from '../runs/states.ts';
import type { Outlook, Stage, StageRun } from '../stages/stage.ts';
import type { Cadence } from './cadence.ts';
import type { ReadCheck } from './read-check.ts';
import type { Stop } from './stop.ts';

/** A node while it runs. */
export interface Session {
  job: NodeJob;
  stage: Stage;
  config: unknown;
  state: unknown;
  run: StageRun;
  cadence: Cadence;
  outlook: Outlook | undefined;
  progress: NodeProgress;
  /** What computes. */
  engine: Engine;
  /** On the monotonic clock, in milliseconds: when the node would have started, had it never been stopped. */
  startedAt: number;
  metrics: RecordLog;
  stop: Stop;
  /** That what is read has not been touched. */
  checkReads: ReadCheck;
  warn: Warn;
  /** Folder of the newest saved state. */
  saved: string | undefined;
  /** A save that the disk refused: how often in a row, and the step after which it is tried again. */
  owed: { failures: number; retryAt: number } | undefined;
}

/** Working time so far. */
export function secondsSince({ startedAt }: Pick<Session, 'startedAt'>): number {
  return (performance.now() - startedAt) / 1000;
}
