import { RunError } from '../errors.ts';
import { asFailure } from './failure.ts';
import { isDue, withEvaluation } from './node-progress.ts';
import { saveBest } from './saving.ts';
import { type Session, secondsSince } from './session.ts';

/** Evaluates and samples where it is due at the present step. */
export async function measure(session: Session): Promise<void> {
  const { cadence, progress } = session;
  const isBest = isDue(cadence.evalEvery, progress.step) && (await evaluate(session));
  if (isDue(cadence.sampleEvery, progress.step)) await sample(session);
  session.progress = { ...session.progress, seconds: secondsSince(session), measured: true };
  // After the samples: whoever goes on from this state does not draw them again.
  if (isBest) await saveBest(session, progress.best);
}

/** Evaluates; true where nothing before was as good by the metric `best`. */
export async function evaluate(session: Session): Promise<boolean> {
  const { stage, config, state, run, cadence, progress, metrics: log } = session;
  if (!stage.evaluate) return false;
  const metrics = await stage.evaluate(config, state, run).catch((cause: Error) => {
    const { message } = asFailure(cause);
    throw new RunError(`the evaluation at step ${progress.step} failed: ${message}`, { cause, stateIsWhole: true });
  });
  if (Object.keys(metrics).length === 0) return false;
  log.append({ type: 'eval', step: progress.step, seconds: secondsSince(session), ...metrics });
  if (cadence.best === undefined) return false;
  session.progress = withEvaluation(progress, cadence.best, metrics[cadence.best] ?? Number.NaN);
  return session.progress.best?.step === progress.step;
}

/** Samples only show what the model says: one that cannot be made costs no work. */
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
