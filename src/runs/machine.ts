import { z } from 'zod';
import { backends } from '../tensor/backends/index.ts';

/** Where and how a node computes. All but `threads` can change the result and is part of its key. */
export const machineSchema = z.strictObject({
  backend: z
    .enum(['auto', ...backends.map(({ name }) => name)])
    .default('auto')
    .describe('engine that computes; auto = the first of these that is available'),
  precision: z
    .enum(['auto', 'f32', 'bf16'])
    .default('auto')
    .describe('precision of matrix products; auto = bf16 if the processor has fast bfloat16 products, else f32'),
});

export type Machine = z.infer<typeof machineSchema>;
