import { join } from 'node:path';
import { z } from 'zod';
import { readManifest } from '../checkpoint/manifest.ts';
import { instabilities, lossCurveOf } from '../training/stability.ts';
import { fileNames } from './file-names.ts';
import { numbersOf } from './numbers.ts';
import { endingOf, type MetricsRecord, readRecords } from './records.ts';
import { isSealed } from './seal.ts';

/** The entry `best` of a manifest: the state that became the result, if that is not the last one. */
const bestSchema = z.object({ step: z.int() });

export interface TrialEnd {
  start?: number;
  end?: number;
  /** The loss stayed on the entropy of the tokens' frequencies, or jumped and did not come back. */
  isUnstable?: boolean;
}

/**
 * A metric on held-out rows before the first step of a run and for its result, by the evaluation of the state that
 * became the result. `end` is NaN if training diverged, and absent while the run has not ended.
 */
export async function readTrial(directory: string, metric: string): Promise<TrialEnd> {
  const records = await readRecords(join(directory, fileNames.records));
  const evaluations = records.filter(({ type }) => type === 'eval').map(numbersOf);
  const first = evaluations.find(({ step }) => step === 0)?.[metric];
  const start = first === undefined ? {} : { start: first };
  if (isSealed(directory)) {
    const manifest = await readManifest(directory);
    const step = bestSchema.safeParse(manifest?.best).data?.step;
    const last =
      step === undefined ? evaluations.at(-1) : evaluations.findLast((evaluation) => evaluation.step === step);
    return { ...start, end: last?.[metric] ?? Number.NaN, isUnstable: isUnstable(records) };
  }
  const ending = endingOf(records);
  return ending?.type === 'failed' && ending.diverged ? { ...start, end: Number.NaN } : start;
}

/** Of stages that say what a failing loss stays on. */
function isUnstable(records: readonly MetricsRecord[]): boolean {
  const entropy = records.findLast(({ type }) => type === 'start')?.unigramEntropy;
  if (typeof entropy !== 'number') return false;
  const curve = lossCurveOf(records.filter(({ type }) => type === 'step').map(numbersOf));
  return instabilities(curve, { entropy }).some(({ kind }) => kind !== 'spike');
}
