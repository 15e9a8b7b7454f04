import { z } from 'zod';
import { given } from '../config/conditions.ts';
import type { Sequence } from '../data/batch.ts';
import { type CursorState, DataCursor } from '../data/cursor.ts';
import { openSplits } from '../data/dataset.ts';
import { encodeText } from '../data/encode.ts';
import { RequestError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { languageModelLoss } from '../training/language-model.ts';
import type { Optimizer } from '../training/optimizer.ts';
import type { ReinforcementRun } from './run.ts';

/**
 * A language-modelling loss added to that of the policy, so that alignment forgets less (PPO-ptx, Ouyang et al. 2022).
 */
export const pretrainingMixOptions = {
  pretrainData: z.string().optional().describe('text whose language-modelling loss is added to each update (PPO-ptx)'),
  pretrainWeight: z
    .number()
    .positive()
    .default(0.05)
    .describe('weight of that loss (a mean over tokens)')
    .meta({ condition: given('pretrainData') }),
  pretrainRatio: z
    .number()
    .positive()
    .default(1)
    .describe('windows of that text per response of an update')
    .meta({ condition: given('pretrainData') }),
  pretrainLength: z
    .int()
    .min(2)
    .default(256)
    .describe('tokens per window of that text')
    .meta({ condition: given('pretrainData') }),
};

type MixConfig = z.infer<z.ZodObject<typeof pretrainingMixOptions>>;

export interface PretrainingMix {
  windows: readonly (readonly Sequence[])[];
  /** Which window is next. */
  cursor: DataCursor;
}

/**
 * The windows of the text that the config names, undefined if it names none; `from` is the position of a saved state.
 * @throws RequestError if windows are longer than the model's context, or the text has nothing to predict
 */
export async function openPretrainingMix(
  { pretrainData, pretrainLength }: MixConfig,
  run: ReinforcementRun,
  { tokenizer, model, from }: { tokenizer: Tokenizer; model: Model; from: CursorState | undefined },
): Promise<PretrainingMix | undefined> {
  if (pretrainData === undefined) return undefined;
  const { maxLength } = model.config;
  if (pretrainLength > maxLength) {
    const message = `windows have ${pretrainLength} tokens, but the model's context is ${maxLength}`;
    throw new RequestError({ where: 'pretrainLength', message });
  }
  const { train } = await openSplits(pretrainData, 'text', { ...run, holdOut: 0 });
  const windows = encodeText(train, tokenizer, { length: pretrainLength });
  if (windows.length === 0) {
    const message = `there is nothing to predict: none of ${train.length} texts has two tokens`;
    throw new RequestError({ where: pretrainData, message });
  }
  run.log(`${pretrainData}: ${windows.length} windows of text in addition to the prompts`);
  const cursor = new DataCursor(windows.length, run.seed);
  if (from) cursor.restore(from);
  return { windows, cursor };
}

/** Tokens per forward and backward pass. */
const tokensAtOnce = 8192;

/**
 * Adds the weighted gradient of the next windows to the optimiser's gradients; returns their unweighted loss in nats.
 */
export async function pretrainingStep(
  optimizer: Optimizer,
  { windows, cursor }: PretrainingMix,
  { pretrainWeight, pretrainRatio, pretrainLength }: MixConfig,
  responses: number,
): Promise<{ pretrainLoss: number }> {
  const chosen = cursor.take(Math.max(1, Math.round(pretrainRatio * responses))).map((index) => windows[index]!);
  const size = Math.max(1, Math.floor(tokensAtOnce / pretrainLength));
  const batches = Array.from({ length: Math.ceil(chosen.length / size) }, (_, i) =>
    chosen.slice(i * size, (i + 1) * size).flat(),
  );
  const { loss } = await languageModelLoss(optimizer, batches, pretrainWeight);
  return { pretrainLoss: loss };
}
