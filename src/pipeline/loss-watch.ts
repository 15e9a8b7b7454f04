import { numbersOf } from '../runs/numbers.ts';
import { readRecords } from '../runs/records.ts';
import type { StepRecord } from '../stages/stage.ts';
import { describeInstability, type Instability, instabilities, lossCurveOf } from '../training/stability.ts';
import type { Session } from './session.ts';

type Watched = Pick<Session, 'outlook' | 'metrics' | 'warn'>;

/** How many times during a run its losses are examined (all of them each time). */
const looks = 50;

/**
 * Returns a function to call with the record of every step; it warns once about each kind of lasting instability. Only
 * stages that state the unigram entropy, where a failing loss levels off, are watched. A continued run is judged by its
 * earlier steps too.
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
