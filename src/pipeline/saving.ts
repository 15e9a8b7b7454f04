import { join } from 'node:path';
import { writeDirectoryAtomically } from '../checkpoint/atomic.ts';
import { WriteError } from '../checkpoint/write-error.ts';
import { RunError } from '../errors.ts';
import { fileNames } from '../runs/file-names.ts';
import type { NodeProgress } from '../runs/progress.ts';
import type { MetricsRecord } from '../runs/records.ts';
import { sealRun } from '../runs/seal.ts';
import { removeOldStates, removeStates, saveState, stateDirectory } from '../runs/states.ts';
import { isDue } from './cadence.ts';
import { shortly, untilWritten } from './retry.ts';
import { type Session, secondsSince } from './session.ts';

/** Whether the state is to be saved after the current step, regularly, on request, or to retry a failed save. */
export function isSaveDue({ cadence, progress, owed, saved, job, stop }: Session): boolean {
  if (stop.isSaveWanted) return true;
  if (saved === stateDirectory(job.directory, progress.step)) return false;
  return isDue(cadence.saveEvery, progress.step) || (owed !== undefined && progress.step >= owed.retryAt);
}

/**
 * Saves the state and returns its folder. After a disk error older states stay and training continues; saving is tried
 * again after one step, then two, four and so on. Returns undefined if nothing was saved.
 */
export async function trySave(session: Session): Promise<string | undefined> {
  session.stop.isSaveWanted = false;
  try {
    return await save(session);
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    const failures = (session.owed?.failures ?? 0) + 1;
    const retryAt = session.progress.step + 2 ** (failures - 1);
    session.owed = { failures, retryAt };
    session.warn(
      `${error.message}; training continues, ${savedOf(session)}, and it is tried again after step ${retryAt}`,
    );
    return undefined;
  }
}

/** Tries once to save the state of a run that is about to end anyway. */
export async function saveOnce(session: Session): Promise<void> {
  await save(session).catch((error) => session.warn(error.message));
}

/** Saves the state, retrying for minutes after disk errors. @throws RunError that tells what is saved */
export async function saveSurely(session: Session): Promise<string | undefined> {
  try {
    return await untilWritten(() => save(session), session.warn);
  } catch (error) {
    throw error instanceof WriteError ? atLast(session, error) : error;
  }
}

/** Saves the state of the best evaluation. If disk errors persist, the `former` best remains the best. */
export async function saveBest(session: Session, former: NodeProgress['best']): Promise<void> {
  if (!session.stage.save) return;
  try {
    await untilWritten(() => save(session), session.warn, { waits: shortly });
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    const { best, ...progress } = session.progress;
    session.progress = { ...progress, ...(former ? { best: former } : {}) };
    const instead = former ? `the best that is saved is of step ${former.step}` : 'no best state is saved';
    session.warn(
      `${error.message}; training continues, but the best state so far, of step ${best?.step}, is lost: ${instead}`,
    );
  }
}

async function save(session: Session): Promise<string | undefined> {
  const { stage, state, progress, run, job } = session;
  const write = stage.save;
  if (!write) return undefined;
  const directory = await saveState(job.directory, session, (temporary) => write(state, temporary));
  session.saved = directory;
  session.owed = undefined;
  run.log(`saved ${directory}`);
  await removeOldStates(job.directory, progress).catch((error) =>
    session.warn(`older states were not removed: ${error.message}`),
  );
  return directory;
}

/**
 * Writes the result as a whole. If disk errors last for minutes, or a stop is requested meanwhile, the state is saved
 * if possible.
 * @throws RunError that tells what is saved
 */
export async function writeResult(session: Session, { isLastState }: { isLastState: boolean }): Promise<void> {
  const { job, stage, config } = session;
  const final = join(job.directory, fileNames.final);
  try {
    await patiently(session, () =>
      writeDirectoryAtomically(final, (temporary) => stage.finish(config, session.state, temporary)),
    );
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    if (isLastState) await saveOnce(session);
    throw atLast(session, error);
  }
}

/** Writes the last record and the manifest, which marks the result as finished, and only then removes the states. */
export async function sealResult(session: Session, end: Readonly<Record<string, unknown>>): Promise<number> {
  const { job, progress, warn } = session;
  const { best, step } = progress;
  const seconds = secondsSince(session);
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  await appendLast(session, { type: 'done', step, seconds, peakRssBytes, ...end });
  try {
    await patiently(session, () => sealRun(job.directory, { key: job.key, ...(best ? { best } : {}) }));
  } catch (error) {
    throw error instanceof WriteError ? atLast(session, error) : error;
  }
  await removeStates(job.directory).catch((error) => warn(`saved states were not removed: ${error.message}`));
  return seconds;
}

function patiently({ warn, stop }: Session, write: () => Promise<void>): Promise<void> {
  return untilWritten(write, warn, { isHurried: () => stop.reason !== undefined });
}

/** Appends a run's last record. A failed write is retried for a while, as no later record will do so. */
export async function appendLast(
  { metrics, warn }: Pick<Session, 'metrics' | 'warn'>,
  record: MetricsRecord,
): Promise<void> {
  metrics.append(record);
  await untilWritten(metrics.flush, warn, { waits: shortly }).catch((error) =>
    warn(`records are lost: ${error.message}`),
  );
}

function atLast(session: Session, error: WriteError): RunError {
  const { hint = '' } = error;
  return new RunError(`${error.message}; ${savedOf(session)}`, { hint, cause: error });
}

/** Describes in words what the run can continue from. */
function savedOf({ saved, stage }: Session): string {
  if (!stage.save) return 'this stage saves no states; just run it again';
  return saved ? `the newest saved state is ${saved}` : 'no state is saved yet';
}
