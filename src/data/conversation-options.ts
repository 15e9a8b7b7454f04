import { z } from 'zod';
import { readModelDirectory } from '../checkpoint/model-directory.ts';

/** The options of stages that read conversations. */
export const conversationOptions = {
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('fraction of the rows, taken from the end, to hold out from training'),
  maxLength: z.int().min(2).optional().describe("maximum number of tokens in a row; default: the model's context"),
  onTooLong: z.enum(['error', 'drop', 'truncate']).default('error').describe('what to do with rows that are longer'),
};

export type ConversationOptions = z.infer<z.ZodObject<typeof conversationOptions>>;

/** The maximum length of a row in tokens: `maxLength`, or if undefined the context of the model in a directory. */
export async function rowLimit(maxLength: number | undefined, directory: string): Promise<number> {
  return maxLength ?? (await readModelDirectory(directory)).config.maxLength;
}
