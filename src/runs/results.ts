import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fileNames } from './file-names.ts';
import { readJsonFile } from './json-file.ts';
import { jsonText, numberSchema } from './numbers.ts';

/** A prompt, the model's completion, and the reference answer if there is one. */
export const sampleSchema = z.object({
  prompt: z.string(),
  completion: z.string(),
  expected: z.string().optional(),
  /** The completion's reward, from a reward model or from the rewards that the stage learns from. */
  reward: numberSchema.optional(),
});

export type Sample = z.infer<typeof sampleSchema>;

const measurement = {
  metrics: z.record(z.string(), numberSchema),
  /** Of metrics that are means over rows: the sample's standard deviation divided by √n. */
  stderr: z.record(z.string(), numberSchema).optional(),
  /** What a reader of the metrics has to know, such as that all answers are the same choice. */
  remarks: z.array(z.string()).optional(),
  samples: z.array(sampleSchema).default([]),
  /** How the model uses its depth, by name of the analysis; `src/analysis` describes each. */
  analysis: z.record(z.string(), z.unknown()).optional(),
};

/** The measurements of one model. */
const measurementSchema = z.object(measurement);

/** The measurements of several models, each with the stage, variant and seed that produced it. */
const comparisonSchema = z.object({
  rows: z.array(
    z.object({
      stage: z.string(),
      variant: z.string().optional(),
      seed: z.number().optional(),
      /** Stage of the model that the win rate is measured against. */
      against: z.string().optional(),
      /** Variant whose model after this stage, of the same seed, it has played as well. */
      againstVariant: z.string().optional(),
      /** The metric that decides after this stage, if the pipeline names one. */
      primary: z.string().optional(),
      ...measurement,
    }),
  ),
});

export type Measurement = z.infer<typeof measurementSchema>;
type Comparison = z.infer<typeof comparisonSchema>;
export type ResultRow = Comparison['rows'][number];

/** Writes results.json into `final`, the result folder of a stage that measures. */
export function writeResults(final: string, results: Measurement | Comparison): Promise<void> {
  return writeFile(join(final, fileNames.results), `${jsonText(results, 2)}\n`);
}

/**
 * The rows of a run's results; none if it has no results.json. The measurements of a single model are one row, with the
 * stage, variant and seed in `own`.
 * @throws RequestError if the file is not valid
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
