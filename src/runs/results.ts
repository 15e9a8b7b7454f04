import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fileNames } from './file-names.ts';
import { readJsonFile } from './json-file.ts';
import { jsonText, numberSchema } from './numbers.ts';

/** A prompt, what the model made of it, and the right answer where there is one. */
export const sampleSchema = z.object({
  prompt: z.string(),
  completion: z.string(),
  expected: z.string().optional(),
  /** What the completion is worth: to a reward model, or where the stage learns from rewards. */
  reward: numberSchema.optional(),
});

export type Sample = z.infer<typeof sampleSchema>;

const measurement = {
  metrics: z.record(z.string(), numberSchema),
  samples: z.array(sampleSchema).default([]),
  /** How the model uses its depth, by analysis: `src/analysis` says what each is. */
  analysis: z.record(z.string(), z.unknown()).optional(),
};

/** What was measured on one model. */
const measurementSchema = z.object(measurement);

/** What was measured on several, each with the stage, variant and seed that made it. */
const comparisonSchema = z.object({
  rows: z.array(
    z.object({
      stage: z.string(),
      variant: z.string().optional(),
      seed: z.number().optional(),
      /** Stage of the model that its win rate is over. */
      against: z.string().optional(),
      /** Variant whose model after this stage, of the same seed, it has played as well. */
      againstVariant: z.string().optional(),
      /** The metric that decides after this stage, where the pipeline names one. */
      primary: z.string().optional(),
      ...measurement,
    }),
  ),
});

export type Measurement = z.infer<typeof measurementSchema>;
type Comparison = z.infer<typeof comparisonSchema>;
export type ResultRow = Comparison['rows'][number];

/** Writes results.json into the result of a stage that measures. */
export function writeResults(final: string, results: Measurement | Comparison): Promise<void> {
  return writeFile(join(final, fileNames.results), `${jsonText(results, 2)}\n`);
}

/**
 * The rows of a run's results, none where it has no results.json. The measurement of one model is one row.
 * @throws RequestError where the file is of another form
 */
export async function readResults(
  directory: string,
  own: Pick<ResultRow, 'stage' | 'variant' | 'seed'>,
): Promise<ResultRow[]> {
  const file = join(directory, fileNames.final, fileNames.results);
  const found = await readJsonFile<Measurement | Comparison>(file, (value) =>
    isComparison(value) ? comparisonSchema : measurementSchema,
  );
  if (!found) return [];
  if (isComparison(found)) return found.rows;
  const { stage, variant, seed } = own;
  return [{ ...found, stage, variant, seed, against: undefined }];
}

const isComparison = <T>(value: T): value is T & Comparison =>
  typeof value === 'object' && value !== null && 'rows' in value;
