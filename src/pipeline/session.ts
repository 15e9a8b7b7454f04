import type { Warn } from '../runs/log-file.ts';
import type { NodeJob } from '../runs/node-file.ts';
import type { NodeProgress } from '../runs/progress.ts';
import type { RecordLog } from '../runs/record-log.ts';
import type { Engine } from '../runs/states.ts';
import type { Outlook, Stage, StageRun } from '../stages/stage.ts';
import type { Cadence } from './cadence.ts';
import type { ReadCheck } from './read-check.ts';
import type { Stop } from './stop.ts';

/** The state of a running node. */
export interface Session {
  job: NodeJob;
  stage: Stage;
  config: unknown;
  state: unknown;
  run: StageRun;
  cadence: Cadence;
  outlook: Outlook | undefined;
  progress: NodeProgress;
  /** The backend and precision that compute. */
  engine: Engine;
  /** When the node would have started if it had never been stopped; milliseconds of the monotonic clock. */
  startedAt: number;
  metrics: RecordLog;
  stop: Stop;
  /** Checks that the files it read have not been touched. */
  checkReads: ReadCheck;
  warn: Warn;
  /** Folder of the newest saved state. */
  saved: string | undefined;
  /** Set after a disk error: the number of failed saves in a row, and the step after which saving is tried again. */
  owed: { failures: number; retryAt: number } | undefined;
}

/** Seconds of work so far, including work before the run was continued. */
export function secondsSince({ startedAt }: Pick<Session, 'startedAt'>): number {
  return (performance.now() - startedAt) / 1000;
}
