import { z } from 'zod';
import { readModelDirectory } from '../checkpoint/model-directory.ts';

/** What the stages that read conversations can be told about them. */
export const conversationOptions = {
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('share of the rows, taken from the end, to hold out from training'),
  maxLength: z.int().min(2).optional().describe('most tokens in a row; by default, as many as the model can take'),
  onTooLong: z.enum(['error', 'drop', 'truncate']).default('error').describe('what to do with rows that are longer'),
};

export type ConversationOptions = z.infer<z.ZodObject<typeof conversationOptions>>;

/** Tokens that a row may have: `maxLength`, or where it is left out all that the model in a directory takes. */
export async function rowLimit(maxLength: number | undefined, directory: string): Promise<number> {
  return maxLength ?? (await readModelDirectory(directory)).config.maxLength;
}
