import { z } from 'zod';
import { RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { PromptTokens } from '../training/rollout.ts';
import { checkContext } from './context.ts';
import { openSplits } from './dataset.ts';
import { checkTokenIds, encodePrompt } from './encode.ts';
import type { PromptRow } from './rows.ts';

export const promptOptions = {
  data: z.string().describe('prompts, with the answers if responses are verified'),
  maxNewTokens: z.int().positive().default(48).describe('maximum number of tokens in a response'),
  onTooLong: z
    .enum(['error', 'drop'])
    .default('error')
    .describe("what to do with prompts that leave no room for maxNewTokens in the model's context"),
  holdOut: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('fraction of the rows, taken from the end, to hold out from training'),
};

type PromptConfig = z.infer<z.ZodObject<typeof promptOptions>>;

export interface Prompts {
  /** All rows to learn from. */
  rows: readonly PromptRow[];
  /** The prompts of those rows that fit into the context. */
  prompts: readonly PromptTokens[];
  /** Held-out rows whose prompts fit into the context. */
  heldOut: readonly PromptRow[];
}

/** Reads prompts; those that are too long are dropped or refused, as `onTooLong` says. @throws RequestError */
export async function openPrompts(
  config: PromptConfig,
  run: { baseDirectory: string; log(message: string): void },
  { tokenizer, model }: { tokenizer: Tokenizer; model: ModelConfig },
): Promise<Prompts> {
  const { train: rows, heldOut } = await openSplits(config.data, 'prompt', { ...run, holdOut: config.holdOut });
  const prompts = fittingPrompts(rows, tokenizer, model, config);
  const fitting = fittingPrompts(heldOut, tokenizer, model, config).map(({ row }) => heldOut[row]!);
  if (prompts.length === 0) throw new RequestError({ where: config.data, message: 'no prompt fits into the context' });
  const dropped = rows.length + heldOut.length - prompts.length - fitting.length;
  const left = dropped > 0 ? `, ${dropped} dropped because they are too long` : '';
  run.log(`${config.data}: ${prompts.length} prompts, ${fitting.length} held out${left}`);
  return { rows, prompts, heldOut: fitting };
}

export const encodedPrompts = (rows: readonly PromptRow[], tokenizer: Tokenizer): PromptTokens[] =>
  rows.map(({ prompt }, row) => ({ row, tokens: encodePrompt(prompt, tokenizer) }));

/** The prompts that leave room for a response. @throws RequestError if others may not be dropped */
function fittingPrompts(
  rows: readonly PromptRow[],
  tokenizer: Tokenizer,
  { maxLength, vocabSize }: ModelConfig,
  { data, maxNewTokens, onTooLong }: PromptConfig,
): PromptTokens[] {
  const prompts = encodedPrompts(rows, tokenizer);
  const isTooLong = ({ tokens }: PromptTokens): boolean => tokens.length + maxNewTokens > maxLength;
  if (onTooLong === 'error') {
    const lengths = prompts.map(({ tokens }) => tokens.length);
    const hint = 'set `onTooLong: drop`, or lower maxNewTokens';
    checkContext(lengths, maxLength, { newTokens: maxNewTokens, where: data, hint });
  }
  const fitting = prompts.filter((prompt) => !isTooLong(prompt));
  const sequences = fitting.map(({ tokens }) => ({ tokens, trained: new Uint8Array(tokens.length) }));
  checkTokenIds(sequences, tokenizer, vocabSize);
  return fitting;
}
