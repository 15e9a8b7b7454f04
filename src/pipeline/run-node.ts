import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { writeDirectoryAtomically } from '../checkpoint/atomic.ts';
import { writeManifest } from '../checkpoint/manifest.ts';
import { readModelDirectory } from '../checkpoint/model-directory.ts';
import { RequestError, RunError } from '../errors.ts';
import { pause, type Stage, type StageRun, type StepRecord } from '../stages/stage.ts';
import { openBackend } from '../tensor/backends/open.ts';
import type { Machine, NodeJob } from './job.ts';
import { appendRecord, cutRecords, readRecords } from './metrics-log.ts';
import { lockNode } from './node-lock.ts';
import { type Cadence, cadenceSchema, isDue, type NodeProgress, noProgress, withEvaluation } from './node-progress.ts';
import { resolveStage } from './stage-config.ts';
import { findState, removeStates, type SavedState, saveState, stateDirectory } from './states.ts';
import type { Stop, StopReason } from './stop.ts';

export interface NodeRunOptions {
  stages: readonly Stage[];
  threads: number;
  stop: Stop;
  log(message: string): void;
}

export type NodeEnd =
  | { status: 'done'; step: number; seconds: number; result: Readonly<Record<string, unknown>> }
  | { status: 'stopped'; step: number; reason: StopReason; saved: boolean };

/** A node while it runs. */
interface Session {
  stage: Stage;
  config: unknown;
  state: unknown;
  run: StageRun;
  cadence: Cadence;
  progress: NodeProgress;
  /** Milliseconds since the epoch at which the node would have started, had it never been stopped. */
  startedAt: number;
  metricsFile: string;
}

/**
 * Runs one node in this process: opens the stage, fresh or from its newest undamaged state, and between its steps logs,
 * evaluates, samples, saves and stops. The result goes to `final/` in one piece, and `manifest.json` last.
 */
export async function runNode(job: NodeJob, options: NodeRunOptions): Promise<NodeEnd> {
  const stage = options.stages.find(({ name }) => name === job.run);
  if (!stage) throw new RequestError({ message: `there is no stage \`${job.run}\``, where: job.id });
  const { config, machine, problems } = resolveStage(stage, job.config, { where: (path) => path.join('.') });
  if (problems.length > 0) throw new RequestError(problems, job.id);
  const unlock = lockNode(job.directory);
  try {
    return await runOpened(stage, config, machine, job, options);
  } catch (error) {
    await recordFailure(job, error as Error);
    throw error;
  } finally {
    unlock();
  }
}

async function recordFailure({ directory }: NodeJob, { message }: Error): Promise<void> {
  const file = join(directory, 'metrics.jsonl');
  const last = (await readRecords(file)).at(-1);
  appendRecord(file, { type: 'failed', step: last?.step ?? 0, seconds: last?.seconds ?? 0, message });
}

async function runOpened(
  stage: Stage,
  config: unknown,
  machine: Machine,
  job: NodeJob,
  options: NodeRunOptions,
): Promise<NodeEnd> {
  const openedAt = Date.now();
  const { backend, explanation } = await openBackend({ ...machine, threads: options.threads });
  options.log(explanation);
  const run: StageRun = { ...job, backend, log: options.log };
  const metricsFile = join(job.directory, 'metrics.jsonl');
  try {
    const saved = stage.save ? await findState(job.directory, options.log) : undefined;
    if (!saved) await logNotes(stage, run);
    const state = await stage.open(config, run, saved?.directory);
    const progress = saved?.progress ?? noProgress;
    const cadence = cadenceSchema.parse(config);
    const startedAt = openedAt - progress.seconds * 1000;
    const session: Session = { stage, config, state, run, cadence, progress, startedAt, metricsFile };
    try {
      await beginLog(session, job, saved, explanation);
      return await runToEnd(session, job, options);
    } catch (error) {
      if (error instanceof RunError && error.stateIsWhole && session.progress.step > 0) await save(session, job);
      throw ofRun(error as Error);
    } finally {
      stage.close?.(session.state);
    }
  } finally {
    await backend.dispose();
  }
}

/** What the model directories that a node reads do not say, so that no stage has to remember to tell it. */
async function logNotes({ inputs }: Stage, run: StageRun): Promise<void> {
  for (const [key, named] of Object.entries(run.inputs)) {
    if (inputs[key]?.kind === 'tokenizer') continue;
    for (const { name, directory } of named) {
      const { notes } = await readModelDirectory(directory);
      for (const note of notes) run.log(`${name}: ${note}`);
    }
  }
}

/** A wrong request that shows only while the stage runs is a run that failed: something was started. */
function failureOf(error: RequestError): RunError {
  const { subject, problems } = error;
  const hint = problems.find((problem) => problem.hint !== undefined)?.hint;
  const message = problems
    .map(({ where = subject, message }) => [where, message].filter(Boolean).join(': '))
    .join('; ');
  return new RunError(message, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

const ofRun = (error: Error): Error => (error instanceof RequestError ? failureOf(error) : error);

async function beginLog(session: Session, job: NodeJob, saved: SavedState | undefined, backend: string): Promise<void> {
  const { metricsFile, run, progress } = session;
  await cutRecords(metricsFile, saved ? progress.step : -1);
  if (saved) {
    run.log(`going on from ${saved.directory}`);
    return;
  }
  const { stage, variant, seed } = job;
  appendRecord(metricsFile, { type: 'start', step: 0, time: new Date().toISOString(), stage, variant, seed, backend });
}

async function runToEnd(session: Session, job: NodeJob, { stop }: NodeRunOptions): Promise<NodeEnd> {
  if (!session.progress.measured) await measure(session);
  const { stage, config, state, run } = session;
  const steps = stage.run(config, state, run);
  let result: Readonly<Record<string, unknown>> = {};
  while (!isPatienceOver(session)) {
    const begun = Date.now();
    const next = await steps.next();
    if (next.done) {
      result = next.value;
      break;
    }
    const seconds = session.progress.pausedSeconds + (Date.now() - begun) / 1000;
    if (next.value === pause) notePause(session, seconds);
    else recordStep(session, next.value, seconds);
    // Signals are delivered only when the event loop turns, which a stage that computes in JavaScript never lets it.
    await setImmediate();
    if (next.value === pause) {
      if (stop.reason) return stopHere(session, job, stop.reason);
      continue;
    }
    const isLast = next.value.step === next.value.totalSteps;
    if (stop.reason && !isLast) return stopHere(session, job, stop.reason);
    await measure(session);
    if (isDue(session.cadence.saveEvery, session.progress.step) && !isLast) await save(session, job);
  }
  await steps.return(result);
  return finish(session, job, result);
}

function notePause(session: Session, pausedSeconds: number): void {
  const { progress } = session;
  session.progress = { ...progress, pauses: progress.pauses + 1, pausedSeconds, seconds: secondsSince(session) };
}

function recordStep(session: Session, record: StepRecord, stepSeconds: number): void {
  const seconds = secondsSince(session);
  const { tokens } = record;
  const speed = tokens === undefined ? {} : { tokensPerSecond: tokens / stepSeconds };
  appendRecord(session.metricsFile, { type: 'step', ...record, seconds, ...speed });
  const { evalEvery, sampleEvery } = session.cadence;
  const measured = !isDue(evalEvery, record.step) && !isDue(sampleEvery, record.step);
  session.progress = { ...session.progress, step: record.step, pauses: 0, pausedSeconds: 0, seconds, measured };
}

/** Evaluates and samples where it is due at the present step. */
async function measure(session: Session): Promise<void> {
  const { cadence, progress } = session;
  if (isDue(cadence.evalEvery, progress.step)) await evaluate(session);
  if (isDue(cadence.sampleEvery, progress.step)) await sample(session);
  session.progress = { ...session.progress, seconds: secondsSince(session), measured: true };
}

async function evaluate(session: Session): Promise<void> {
  const { stage, config, state, run, cadence, progress } = session;
  if (!stage.evaluate) return;
  const metrics = await stage.evaluate(config, state, run).catch((cause: Error) => {
    const { message } = ofRun(cause);
    throw new RunError(`the evaluation at step ${progress.step} failed: ${message}`, { cause, stateIsWhole: true });
  });
  if (Object.keys(metrics).length === 0) return;
  appendRecord(session.metricsFile, { type: 'eval', step: progress.step, seconds: secondsSince(session), ...metrics });
  if (cadence.best === undefined) return;
  session.progress = withEvaluation(progress, cadence.best, metrics[cadence.best] ?? Number.NaN);
  if (session.progress.best?.step === progress.step && stage.save) await saveBest(session, stage.save);
}

async function saveBest(session: Session, save: NonNullable<Stage['save']>): Promise<void> {
  const progress = { ...session.progress, measured: true };
  await saveState(session.run.directory, progress, (directory) => save(session.state, directory));
}

/** Samples only show what the model says: one that cannot be made costs no work. */
async function sample({ stage, config, state, run, progress, metricsFile, startedAt }: Session): Promise<void> {
  const { step } = progress;
  const samples = await stage.sample?.(config, state, run).catch((error: Error) => {
    run.log(`warning: no samples at step ${step}: ${ofRun(error).message}`);
  });
  if (!samples) return;
  appendRecord(metricsFile, { type: 'sample', step, seconds: (Date.now() - startedAt) / 1000, samples });
  for (const { prompt, completion, reward } of samples) {
    const worth = reward === undefined ? '' : ` (reward ${Number(reward.toPrecision(4))})`;
    run.log(`sample at step ${step}: ${JSON.stringify(prompt)} → ${JSON.stringify(completion)}${worth}`);
  }
}

function isPatienceOver({ cadence, progress }: Session): boolean {
  return cadence.patience !== undefined && cadence.patience > 0 && progress.evaluationsSinceBest >= cadence.patience;
}

async function stopHere(session: Session, job: NodeJob, reason: StopReason): Promise<NodeEnd> {
  const { step, seconds } = session.progress;
  const saved = await save(session, job);
  appendRecord(session.metricsFile, { type: 'stopped', step, seconds, reason });
  return { status: 'stopped', step, reason, saved };
}

async function save({ stage, state, progress, run }: Session, job: NodeJob): Promise<boolean> {
  const write = stage.save;
  if (!write) return false;
  const directory = await saveState(job.directory, progress, (temporary) => write(state, temporary));
  run.log(`saved ${directory}`);
  return true;
}

async function finish(session: Session, job: NodeJob, result: Readonly<Record<string, unknown>>): Promise<NodeEnd> {
  const { stage, config, run, cadence, progress, metricsFile } = session;
  const { step } = progress;
  if (!isDue(cadence.evalEvery, step)) await evaluate(session);
  await goBackToBest(session, job);
  await writeDirectoryAtomically(join(job.directory, 'final'), (temporary) =>
    stage.finish(config, session.state, temporary),
  );
  if (!isDue(cadence.sampleEvery, step)) await sample(session);
  const { best } = session.progress;
  const seconds = secondsSince(session);
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  appendRecord(metricsFile, { type: 'done', step, seconds, peakRssBytes, result });
  await writeManifest(job.directory, { key: job.key, ...(best ? { best } : {}) }, ['final']);
  await removeStates(job.directory);
  run.log(`done after ${step} steps`);
  return { status: 'done', step, seconds, result };
}

/** Where a `best` metric was asked for, what is finished is the state that had it. */
async function goBackToBest(session: Session, job: NodeJob): Promise<void> {
  const { stage, config, run, progress } = session;
  const { best } = progress;
  if (!best || best.step === progress.step || !stage.save) return;
  run.log(`the best evaluation was at step ${best.step}; that state is the result`);
  stage.close?.(session.state);
  session.state = await stage.open(config, run, stateDirectory(job.directory, best.step));
}

function secondsSince({ startedAt }: Session): number {
  return (Date.now() - startedAt) / 1000;
}
