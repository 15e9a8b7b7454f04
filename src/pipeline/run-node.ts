import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { removeLeftovers } from '../checkpoint/atomic.ts';
import { RequestError, RunError } from '../errors.ts';
import { fileNames } from '../runs/file-names.ts';
import { lockNode } from '../runs/lock.ts';
import type { Warn } from '../runs/log-file.ts';
import type { Machine } from '../runs/machine.ts';
import type { NodeJob } from '../runs/node-file.ts';
import { noProgress } from '../runs/progress.ts';
import { openRecordLog } from '../runs/record-log.ts';
import { readRecords } from '../runs/records.ts';
import { findStates, type SavedState, stateDirectory } from '../runs/states.ts';
import { pause, type Stage, type StageRun, type StepRecord } from '../stages/stage.ts';
import { openBackend } from '../tensor/backends/open.ts';
import { cadenceSchema, isDue } from './cadence.ts';
import { checkEngine } from './engine-check.ts';
import { asFailure } from './failure.ts';
import { watchLoss } from './loss-watch.ts';
import { evaluate, isPatienceOver, measure, measureStart, sample } from './measuring.ts';
import { tellModelNotes } from './model-notes.ts';
import { checkReads } from './read-check.ts';
import { shortly, untilWritten } from './retry.ts';
import { appendLast, isSaveDue, saveOnce, saveSurely, sealResult, trySave, writeResult } from './saving.ts';
import { type Session, secondsSince } from './session.ts';
import { resolveStage } from './stage-config.ts';
import type { Stop, StopReason } from './stop.ts';

export interface NodeRunOptions {
  stages: readonly Stage[];
  threads: number;
  stop: Stop;
  log(message: string): void;
  /** Receives messages that are logged and should be seen at once. */
  warn: Warn;
}

export type NodeEnd =
  | { status: 'done'; step: number; seconds: number; result: Readonly<Record<string, unknown>> }
  | { status: 'stopped'; step: number; reason: StopReason; saved: boolean };

/**
 * Runs one node in this process: opens the stage from its newest undamaged state or from the start, and between its
 * steps logs, evaluates, samples, saves and stops. The result is moved to `final/` as a whole; `manifest.json` comes
 * last.
 */
export async function runNode(job: NodeJob, options: NodeRunOptions): Promise<NodeEnd> {
  const stage = options.stages.find(({ name }) => name === job.run);
  if (!stage) throw new RequestError({ message: `there is no stage \`${job.run}\``, where: job.id });
  const { config, machine, problems } = resolveStage(stage, job.config, { where: (path) => path.join('.') });
  if (problems.length > 0) throw new RequestError(problems, job.id);
  const unlock = lockNode(job.directory);
  const metrics = openRecordLog(join(job.directory, fileNames.records), options.warn);
  try {
    await removeLeftovers(job.directory).catch((error) =>
      options.log(`leftover files were not removed: ${error.message}`),
    );
    return await runOpened(stage, config, machine, { job, metrics, ...options });
  } catch (error) {
    await recordFailure({ metrics, ...options }, error as Error);
    throw error;
  } finally {
    unlock();
  }
}

async function recordFailure(session: Pick<Session, 'metrics' | 'warn'>, error: Error): Promise<void> {
  const last = (await readRecords(session.metrics.file)).at(-1);
  const kind = {
    ...(error instanceof RequestError && { refused: true }),
    ...(error instanceof RunError && error.diverged && { diverged: true }),
  };
  const place = { step: last?.step ?? 0, seconds: last?.seconds ?? 0 };
  await appendLast(session, { type: 'failed', ...place, message: error.message, ...kind });
}

type Opened = NodeRunOptions & Pick<Session, 'job' | 'metrics'>;

async function runOpened(stage: Stage, config: unknown, machine: Machine, options: Opened): Promise<NodeEnd> {
  const { job, metrics, log, warn, stop, threads } = options;
  const openedAt = performance.now();
  const { backend, explanation } = await openBackend({ ...machine, threads });
  log(explanation);
  const run: StageRun = { ...job, backend, log };
  try {
    const stopped = await stoppedEarly(options);
    if (stopped) return stopped;
    const engine = { backend: backend.name, precision: backend.precision };
    const check = (saved: SavedState) => checkEngine(saved, engine, machine, explanation);
    const requireUntouched = await checkReads(job);
    const { state, saved } = await openState(stage, config, run, { warn, check });
    const progress = saved?.progress ?? noProgress;
    const session: Session = {
      ...{ job, stage, config, state, run, metrics, stop, warn, checkReads: requireUntouched },
      cadence: cadenceSchema.parse(config),
      outlook: stage.outlook?.(config, state),
      progress,
      engine,
      startedAt: openedAt - progress.seconds * 1000,
      saved: saved?.directory,
      owed: undefined,
    };
    try {
      if (stage.readsOnOpen) await requireUntouched();
      await beginLog(session, saved, explanation);
      const early = await stoppedEarly(options, saved);
      if (early) return early;
      if (!saved) await measureStart(session);
      return (await stoppedEarly(options, saved)) ?? (await runSteps(session));
    } finally {
      stage.close?.(session.state);
    }
  } finally {
    await backend.dispose();
  }
}

/** The end of a run that was asked to stop before its first step, when there is nothing to save. */
async function stoppedEarly({ stop, ...session }: Opened, saved?: SavedState): Promise<NodeEnd | undefined> {
  await signalsDelivered();
  if (!stop.reason) return undefined;
  const { step, seconds } = saved?.progress ?? noProgress;
  await appendLast(session, { type: 'stopped', step, seconds, reason: stop.reason });
  return { status: 'stopped', step, reason: stop.reason, saved: saved !== undefined };
}

/** Lets the event loop turn, so that signals arrive even while a stage computes in JavaScript. */
const signalsDelivered = () => setImmediate();

/** Opens the stage from its newest readable state, or from the start if there is none. */
async function openState(
  stage: Stage,
  config: unknown,
  run: StageRun,
  { warn, check }: { warn: Warn; check(saved: SavedState): string | undefined },
): Promise<{ state: unknown; saved?: SavedState }> {
  if (stage.save) {
    for await (const saved of findStates(run.directory, warn)) {
      const change = check(saved);
      if (change) warn(change);
      try {
        return { state: await stage.open(config, run, saved.directory), saved };
      } catch (error) {
        const problem = error instanceof RequestError && error.problems.find(({ where }) => isBelow(where, saved));
        if (!problem) throw error;
        warn(`not used: ${problem.where} ${problem.message}`);
      }
    }
  }
  await tellModelNotes(stage, config, run);
  return { state: await stage.open(config, run) };
}

const isBelow = (where: string | undefined, { directory }: SavedState) => where?.startsWith(directory);

async function beginLog(session: Session, saved: SavedState | undefined, backend: string): Promise<void> {
  const { metrics, run, progress, job, warn } = session;
  await untilWritten(() => metrics.cut(saved && progress), warn, { waits: shortly });
  if (saved) {
    run.log(`continuing from ${saved.directory}`);
    return;
  }
  const { stage, variant, seed } = job;
  const { steps: totalSteps, bytes: estimatedBytes, unigramEntropy } = session.outlook ?? {};
  const outlook = { totalSteps, estimatedBytes, unigramEntropy };
  metrics.append({ type: 'start', step: 0, time: new Date().toISOString(), stage, variant, seed, backend, ...outlook });
}

/** Runs the steps. From the first step on, every error means that the run failed; intact work is saved if possible. */
async function runSteps(session: Session): Promise<NodeEnd> {
  try {
    return await runToEnd(session);
  } catch (error) {
    if (error instanceof RunError && error.stateIsWhole && session.progress.step > 0) await saveOnce(session);
    throw asFailure(error as Error);
  }
}

async function runToEnd(session: Session): Promise<NodeEnd> {
  if (!session.progress.measured) await measure(session);
  const { stage, config, state, run, stop } = session;
  const steps = stage.run(config, state, run);
  const watch = await watchLoss(session);
  let result: Readonly<Record<string, unknown>> = {};
  while (!isPatienceOver(session)) {
    const begun = performance.now();
    const next = await steps.next();
    if (next.done) {
      requireAllSteps(session);
      result = next.value;
      break;
    }
    const seconds = session.progress.pausedSeconds + (performance.now() - begun) / 1000;
    if (next.value !== pause && next.value.step !== session.progress.step + 1) throw notOfStep(session);
    if (next.value === pause) notePause(session, seconds);
    else {
      recordStep(session, next.value, seconds);
      watch(next.value);
    }
    await signalsDelivered();
    if (next.value === pause) {
      if (stop.reason) return stopHere(session, stop.reason);
      if (stop.isSaveWanted) await trySave(session);
      continue;
    }
    const isLast = next.value.step === next.value.totalSteps;
    if (stop.reason && !isLast) return stopHere(session, stop.reason);
    await measure(session);
    if (isSaveDue(session) && !isLast) await trySave(session);
  }
  await steps.return(result);
  return finish(session, result);
}

/** Rejects a state after which the stage ends although its manifest says that there are more steps. */
function requireAllSteps(session: Session): void {
  const { step, totalSteps } = session.progress;
  if (totalSteps !== undefined && step < totalSteps) throw notOfStep(session);
}

function notOfStep({ progress, saved = 'the stage' }: Session): RunError {
  return new RunError(`${saved} does not hold the state of step ${progress.step}, as its manifest says`, {
    hint: 'it was changed since it was saved; remove its folder to continue from an older state',
  });
}

function notePause(session: Session, pausedSeconds: number): void {
  const { progress } = session;
  session.progress = { ...progress, pauses: progress.pauses + 1, pausedSeconds, seconds: secondsSince(session) };
}

function recordStep(session: Session, record: StepRecord, stepSeconds: number): void {
  const seconds = secondsSince(session);
  const { tokens } = record;
  const speed = tokens === undefined ? {} : { tokensPerSecond: tokens / stepSeconds };
  session.metrics.append({ type: 'step', ...record, seconds, ...speed });
  const { evalEvery, sampleEvery } = session.cadence;
  const total = record.totalSteps === undefined ? {} : { totalSteps: record.totalSteps };
  const measured = !isDue(evalEvery, record.step) && !isDue(sampleEvery, record.step);
  session.progress = {
    ...session.progress,
    ...total,
    step: record.step,
    pauses: 0,
    pausedSeconds: 0,
    seconds,
    measured,
  };
}

async function stopHere(session: Session, reason: StopReason): Promise<NodeEnd> {
  const { step, seconds } = session.progress;
  const saved = (await saveSurely(session)) !== undefined;
  await appendLast(session, { type: 'stopped', step, seconds, reason });
  return { status: 'stopped', step, reason, saved };
}

async function finish(session: Session, result: Readonly<Record<string, unknown>>): Promise<NodeEnd> {
  const { cadence, progress } = session;
  const { step } = progress;
  // Without any step, the measurements at the start are all there is.
  if (step > 0 && !isDue(cadence.evalEvery, step)) await evaluate(session);
  // Of all that was trained, also where an earlier state becomes the result.
  const budget = session.stage.budget?.(session.state);
  await writeResult(session, { isLastState: !(await goBackToBest(session)) });
  if (!isDue(cadence.sampleEvery, step)) await sample(session);
  if (!session.stage.readsOnOpen) await session.checkReads();
  const seconds = await sealResult(session, { result, ...(budget && { budget: { steps: step, ...budget } }) });
  return { status: 'done', step, seconds, result };
}

/** Returns to the state that was best by the `best` metric, if there is one; true if that is not the last state. */
async function goBackToBest(session: Session): Promise<boolean> {
  const { job, stage, config, run, progress } = session;
  const { best } = progress;
  if (!best || best.step === progress.step || !stage.save) return false;
  run.log(`the best evaluation was at step ${best.step}; that state is the result`);
  stage.close?.(session.state);
  session.state = await stage.open(config, run, stateDirectory(job.directory, best.step));
  return true;
}
