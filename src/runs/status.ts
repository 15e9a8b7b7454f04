import { join } from 'node:path';
import { statsOf } from '../files.ts';
import { fileNames } from './file-names.ts';
import { isLocked } from './lock.ts';
import { endingOf, type MetricsRecord } from './records.ts';
import { isSealed } from './seal.ts';

/** The status of a run according to its folder. `broken off`: its process ended without recording an ending. */
export type RunStatus = 'not run' | 'running' | 'finished' | 'stopped' | 'failed' | 'broken off';

/** The status of the run in a folder, given its records. */
export function statusOf(directory: string, records: readonly MetricsRecord[]): RunStatus {
  if (isSealed(directory)) return 'finished';
  if (isLocked(directory)) return 'running';
  const ending = endingOf(records);
  if (ending && ending.type !== 'done') return ending.type;
  const isBegun = records.length > 0 || (statsOf(join(directory, fileNames.log))?.size ?? 0) > 0;
  return isBegun ? 'broken off' : 'not run';
}
