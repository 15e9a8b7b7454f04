import { z } from 'zod';
import { budgetsKey } from './equal-budgets.ts';
import { measurementOptions, tasksOf } from './evaluate.ts';

export const compareSchema = z.strictObject({
  of: z.array(z.string()).min(1).describe('models to compare: stages or Hugging Face directories'),
  ...measurementOptions,
  againstVariant: z
    .string()
    .optional()
    .describe('variant that the others play too in the task winRate, after the same stage and with the same seed')
    .meta({ condition: tasksOf('winRate') }),
  budgets: budgetsKey,
  primary: z
    .record(z.string(), z.string())
    .optional()
    .describe(
      'for each stage, the metric that decides: `{ sft: town/questions/exactMatch }`; if left out, the report takes the first that is usual for such a stage',
    ),
});

export type CompareConfig = z.infer<typeof compareSchema>;
