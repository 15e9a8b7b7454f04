import { metricKind } from '../evaluation/metrics.ts';
import type { MetricsRecord } from '../runs/records.ts';
import { duration } from './duration.ts';

/** Lines that are printed once for a node, and an estimate of the time left. */
export interface Milestones {
  /** The line for a record, if there is something to say; undefined for a record that was seen before. */
  lineOf(id: string, record: MetricsRecord): string | undefined;
  /** Seconds until the last step, estimated from the time per step since the first record that was seen. */
  secondsLeft(id: string, record: MetricsRecord): number | undefined;
}

/** The remaining time is announced after this many steps, because the first is slower. */
const timedSteps = 2;
/** The remaining time is only announced if it is at least this many seconds. */
const longRun = 10;

/** Maximum number of held-out metrics on a line. */
const metricsShown = 4;

export function milestones(): Milestones {
  const first = new Map<string, MetricsRecord>();
  const last = new Map<string, number>();
  const secondsLeft = (id: string, record: MetricsRecord): number | undefined => {
    const { step, totalSteps, seconds } = record;
    const begun = first.get(`${id} step`) ?? record;
    if (typeof totalSteps !== 'number' || typeof seconds !== 'number' || step <= begun.step) return undefined;
    return ((totalSteps - step) * (seconds - Number(begun.seconds))) / (step - begun.step);
  };
  return {
    secondsLeft,
    lineOf(id, record) {
      const { type, step } = record;
      const key = `${id} ${type}`;
      if (step <= (last.get(key) ?? -1)) return undefined;
      last.set(key, step);
      const begun = first.get(key) ?? record;
      first.set(key, begun);
      if (type === 'start') return outlook(id, record);
      if (type === 'eval') return evaluation(id, record, begun);
      const left = type === 'step' && step === timedSteps ? (secondsLeft(id, record) ?? 0) : 0;
      return left < longRun ? undefined : `${id}: about ${duration(left)} from here`;
    },
  };
}

function outlook(id: string, { totalSteps, estimatedBytes }: MetricsRecord): string | undefined {
  if (typeof totalSteps !== 'number') return undefined;
  const memory =
    typeof estimatedBytes === 'number' ? `, about ${(estimatedBytes / 1e9).toPrecision(2)} GB of memory` : '';
  return `${id}: ${totalSteps} ${totalSteps === 1 ? 'step' : 'steps'}${memory}`;
}

/** `sft: held out after step 50: loss 1.475 (1.606 at first)`, with the metrics that have a direction. */
function evaluation(id: string, record: MetricsRecord, first: MetricsRecord): string {
  const names = Object.keys(record).filter((name) => metricKind(name).better !== undefined);
  const values = names.slice(0, metricsShown).map((name) => {
    const before = record === first ? '' : ` (${shortly(name, first[name])} at first)`;
    return `${name} ${shortly(name, record[name])}${before}`;
  });
  return `${id}: held out ${record.step === 0 ? 'before the first step' : `after step ${record.step}`}: ${values.join(', ')}`;
}

/** Formats the value of a metric with few digits; fractions in per cent. */
export function shortly(name: string, value: unknown): string {
  if (typeof value !== 'number') return String(value);
  return metricKind(name).share ? `${(100 * value).toFixed(1)} %` : value.toPrecision(4);
}
