import { RequestError, RunError } from '../errors.ts';
import type { Metrics } from '../evaluation/metrics.ts';
import { isDue, withEvaluation } from './cadence.ts';
import { asFailure } from './failure.ts';
import { saveBest } from './saving.ts';
import { type Session, secondsSince } from './session.ts';

/** Evaluates and samples if that is due at the current step. */
export async function measure(session: Session): Promise<void> {
  const { cadence, progress } = session;
  const isBest = isDue(cadence.evalEvery, progress.step) && (await evaluate(session));
  if (isDue(cadence.sampleEvery, progress.step)) await sample(session);
  session.progress = { ...session.progress, seconds: secondsSince(session), measured: true };
  // Saved after sampling, so that a run continued from this state does not repeat the samples.
  if (isBest) await saveBest(session, progress.best);
}

/**
 * Evaluates before the first step, as a baseline for training; this evaluation is not a candidate for `best`.
 * @throws RequestError if the config requests evaluations that measure nothing
 */
export async function measureStart(session: Session): Promise<void> {
  const { cadence, progress } = session;
  const measured = await evaluated(session);
  session.progress = { ...progress, seconds: secondsSince(session) };
  if (cadence.evalEvery > 0 && !measured) {
    const message = 'no part of `data` that can be measured is held out';
    throw new RequestError({
      where: 'evalEvery',
      message,
      hint: 'hold out more with `holdOut`, or leave this key out',
    });
  }
  if (cadence.best !== undefined && measured?.[cadence.best] === undefined) {
    const message = `the held-out rows give no \`${cadence.best}\``;
    throw new RequestError({ where: 'best', message, hint: `they give ${Object.keys(measured ?? {}).join(', ')}` });
  }
}

/** Evaluates; returns true if the `best` metric is better than ever before. */
export async function evaluate(session: Session): Promise<boolean> {
  const { cadence, progress } = session;
  const measured = await evaluated(session);
  if (!measured || cadence.best === undefined) return false;
  session.progress = withEvaluation(progress, cadence.best, measured[cadence.best] ?? Number.NaN);
  return session.progress.best?.step === progress.step;
}

/** Measures the held-out rows and records the metrics; undefined if there is nothing to measure. */
async function evaluated({
  stage,
  config,
  state,
  run,
  progress,
  metrics,
  ...session
}: Session): Promise<Metrics | undefined> {
  const { step } = progress;
  const measured = await stage.evaluate?.(config, state, run).catch((cause: Error) => {
    const { message } = asFailure(cause);
    throw new RunError(`the evaluation at step ${step} failed: ${message}`, { cause, stateIsWhole: true });
  });
  if (!measured || Object.keys(measured).length === 0) return undefined;
  metrics.append({ type: 'eval', step, seconds: secondsSince(session), ...measured });
  return measured;
}

/** Samples from the model. A failure is only a warning, because samples are just for looking at. */
export async function sample(session: Session): Promise<void> {
  const { stage, config, state, run, progress, metrics, warn } = session;
  const { step } = progress;
  const samples = await stage.sample?.(config, state, run).catch((error: Error) => {
    warn(`no samples at step ${step}: ${asFailure(error).message}`);
  });
  if (!samples) return;
  metrics.append({ type: 'sample', step, seconds: secondsSince(session), samples });
  for (const { prompt, completion, reward } of samples) {
    const worth = reward === undefined ? '' : ` (reward ${Number(reward.toPrecision(4))})`;
    run.log(`sample at step ${step}: ${JSON.stringify(prompt)} → ${JSON.stringify(completion)}${worth}`);
  }
}

export function isPatienceOver({ cadence, progress }: Session): boolean {
  return cadence.patience !== undefined && cadence.patience > 0 && progress.evaluationsSinceBest >= cadence.patience;
}
