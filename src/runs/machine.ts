import { z } from 'zod';

/** Where and how a node computes. All but `threads` can change the result and is part of its key. */
export const machineSchema = z.strictObject({
  backend: z
    .enum(['auto', 'native', 'portable', 'tensorflow'])
    .default('auto')
    .describe('engine that computes; auto = native if there is a C++ compiler, else portable'),
  precision: z
    .enum(['auto', 'f32', 'bf16'])
    .default('auto')
    .describe('precision of matrix products; auto = bf16 if the processor has fast bfloat16 products, else f32'),
});

export type Machine = z.infer<typeof machineSchema>;
