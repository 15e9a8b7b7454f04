import { dirname, join } from 'node:path';
import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { fileNames } from '../runs/file-names.ts';
import { budgetOf, readRecords } from '../runs/records.ts';
import { unequalBudgets } from '../runs/unequal-budgets.ts';
import type { StageInput } from './stage.ts';

/** Whether variants may be compared that were trained for another number of steps or on other rows. */
export const budgetsKey = z
  .enum(['equal', 'any'])
  .default('equal')
  .describe(
    'equal: variants must have been trained for as many steps, on the same rows in the same order (of stages that sample their own responses, the same prompts); any: the report says where they differ',
  )
  .meta({ changesResult: false });

/** @throws RequestError where variants of a stage were trained on different budgets, as far as that was recorded */
export async function requireEqualBudgets(models: readonly StageInput[]): Promise<void> {
  const runs = models.map(async ({ name, directory, ...origin }) => {
    const records = await readRecords(join(dirname(directory), fileNames.records));
    return { stage: name, ...origin, budget: budgetOf(records) };
  });
  const hint = 'give all variants the same steps and data, or say that it is meant: `budgets: any`';
  const problems = unequalBudgets(await Promise.all(runs)).map((difference) => ({
    where: 'of',
    message: `budgets differ after ${difference}`,
    hint,
  }));
  if (problems.length > 0) throw new RequestError(problems);
}
