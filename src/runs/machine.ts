import { z } from 'zod';

/** Where and how a node computes. All but `threads` can change the result and is part of its key. */
export const machineSchema = z.strictObject({
  backend: z
    .enum(['auto', 'native', 'portable', 'tensorflow'])
    .default('auto')
    .describe('what computes; auto = native where there is a C++ compiler, else portable'),
  precision: z
    .enum(['auto', 'f32', 'bf16'])
    .default('auto')
    .describe('precision of matrix products; auto = bf16 where the processor multiplies bfloat16'),
});

export type Machine = z.infer<typeof machineSchema>;
