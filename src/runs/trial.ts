import { join } from 'node:path';
import { z } from 'zod';
import { readManifest } from '../checkpoint/manifest.ts';
import { fileNames } from './file-names.ts';
import { numbersOf } from './numbers.ts';
import { endingOf, readRecords } from './records.ts';
import { isSealed } from './seal.ts';

/** What a manifest says of the state that became the result, where that is not the last. */
const bestSchema = z.object({ step: z.int() });

/**
 * A metric on held-out rows before the first step of a run, and that of its result: not a number where training
 * diverged, absent while the run has not ended. Of several evaluations that of the state that became the result counts.
 */
export async function readTrial(directory: string, metric: string): Promise<{ start?: number; end?: number }> {
  const records = await readRecords(join(directory, fileNames.records));
  const evaluations = records.filter(({ type }) => type === 'eval').map(numbersOf);
  const first = evaluations.find(({ step }) => step === 0)?.[metric];
  const start = first === undefined ? {} : { start: first };
  if (isSealed(directory)) {
    const manifest = await readManifest(directory);
    const step = bestSchema.safeParse(manifest?.best).data?.step;
    const last =
      step === undefined ? evaluations.at(-1) : evaluations.findLast((evaluation) => evaluation.step === step);
    return { ...start, end: last?.[metric] ?? Number.NaN };
  }
  const ending = endingOf(records);
  return ending?.type === 'failed' && ending.diverged ? { ...start, end: Number.NaN } : start;
}
