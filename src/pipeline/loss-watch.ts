import { numbersOf } from '../runs/numbers.ts';
import { readRecords } from '../runs/records.ts';
import type { StepRecord } from '../stages/stage.ts';
import { describeInstability, type Instability, instabilities, lossCurveOf } from '../training/stability.ts';
import type { Session } from './session.ts';

type Watched = Pick<Session, 'outlook' | 'metrics' | 'warn'>;

/** How often a run's losses are looked at, all of them each time. */
const looks = 50;

/**
 * Sees every step of a stage that says what a failing loss sits on, and warns once of each kind of failure that lasts.
 * A run that goes on is judged by its earlier steps too.
 */
export async function watchLoss({ outlook, metrics, warn }: Watched): Promise<(record: StepRecord) => void> {
  if (outlook?.unigramEntropy === undefined) return () => {};
  const { steps: totalSteps, unigramEntropy: entropy } = outlook;
  const every = Math.ceil(totalSteps / looks);
  const curve = lossCurveOf((await readRecords(metrics.file)).filter(({ type }) => type === 'step').map(numbersOf));
  const lasting = () => instabilities(curve, { entropy, totalSteps }).filter(({ kind }) => kind !== 'spike');
  const told = new Set<Instability['kind']>(lasting().map(({ kind }) => kind));
  return (record) => {
    curve.push(...lossCurveOf([record]));
    if (record.step % every !== 0) return;
    const [first, ...others] = lasting().filter(({ kind }) => !told.has(kind));
    if (!first) return;
    for (const { kind } of [first, ...others]) told.add(kind);
    warn(`${describeInstability(first)}; lower lr, lengthen warmup or set clip`);
  };
}
