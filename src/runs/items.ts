import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { linesOf } from '../data/record-splitting.ts';
import { RequestError } from '../errors.ts';
import { fileNames } from './file-names.ts';
import { jsonText, numberSchema } from './numbers.ts';
import type { ResultRow } from './results.ts';

const measuredItem = {
  /** KIND:DATASET */
  task: z.string(),
  /** Name of the metric that is the mean of the scores. */
  metric: z.string(),
  /** Index among the measured rows. */
  item: z.number(),
  correct: z.boolean().optional(),
  score: numberSchema.optional(),
  /** Weight of the score in the mean, such as tokens; 1 if left out. */
  weight: z.number().optional(),
  /** In nats. */
  logProb: numberSchema.optional(),
};

const itemSchema = z.object({
  ...measuredItem,
  /** Stage of the model, if several models were measured. */
  stage: z.string().optional(),
  variant: z.string().optional(),
  seed: z.number().optional(),
});

const measuredItemSchema = z.object(measuredItem);

/** The result of a task for one item. */
export type MeasuredItem = z.infer<typeof measuredItemSchema>;
type WrittenItem = z.infer<typeof itemSchema>;

/** The result of a task for one item and the model of a stage, variant and seed. */
export type ItemRow = MeasuredItem & Origin;
type Origin = Pick<ResultRow, 'stage' | 'variant' | 'seed'>;

/** Writes items.jsonl into the result of a stage that measures models, with one item of one model per line. */
export function writeItems(final: string, items: readonly WrittenItem[]): Promise<void> {
  return writeFile(join(final, fileNames.items), itemLines(items));
}

export const itemLines = (items: readonly WrittenItem[]): string[] => items.map((item) => `${jsonText(item)}\n`);

/**
 * The items of a run; none if it has no items.jsonl. If a single model was measured, the items get the given stage,
 * variant and seed.
 * @throws RequestError if a line is not a measured item
 */
export async function readItems(directory: string, { stage, variant, seed }: Origin): Promise<ItemRow[]> {
  const file = join(directory, fileNames.final, fileNames.items);
  const rows: ItemRow[] = [];
  try {
    for await (const { bytes, line } of linesOf(createReadStream(file) as AsyncIterable<Buffer>)) {
      const parsed = itemSchema.safeParse(jsonOf(bytes.toString()));
      if (!parsed.success) throw new RequestError({ where: `${file}, line ${line}`, message: 'is no measured item' });
      const item = parsed.data;
      rows.push(item.stage === undefined ? { ...item, stage, variant, seed } : { ...item, stage: item.stage });
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
  }
  return rows;
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
