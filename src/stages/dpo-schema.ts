import { z } from 'zod';
import { oneOf } from '../config/conditions.ts';
import { conversationOptions } from '../data/conversation-options.ts';
import { preferenceLossKinds, scoreOf } from '../losses/preference.ts';
import { trainingOptions } from '../training/options.ts';

/** The losses that depend on how much likelier answers are than under a reference. */
const referenced = preferenceLossKinds.filter((loss) => scoreOf[loss].reference);

export const dpoSchema = z
  .strictObject({
    from: z.string().describe('model to align: a stage or a Hugging Face directory'),
    reference: z
      .string()
      .optional()
      .describe('reference model of the policy; by default, `from`')
      .meta({ condition: oneOf('loss', ...referenced) }),
    data: z.string().describe('preference pairs; for `kto` also single answers with a label'),
    loss: z
      .enum(preferenceLossKinds)
      .default('dpo')
      .describe('loss to minimise; `kto` takes single answers, `orpo` and `simpo` have no reference'),
    beta: z
      .number()
      .positive()
      .optional()
      .describe(
        'how strongly the policy is tied to the reference; for `orpo` the weight of the odds ratio, for `simpo` the scale of the scores (0.1; `simpo` 2)',
      ),
    labelSmoothing: z
      .number()
      .min(0)
      .lt(0.5)
      .default(0)
      .describe('share of pairs assumed to be swapped (cDPO)')
      .meta({ condition: oneOf('loss', 'dpo') }),
    gamma: z
      .number()
      .nonnegative()
      .default(0.5)
      .describe('margin by which the chosen answer should score higher')
      .meta({ condition: oneOf('loss', 'simpo') }),
    desirableWeight: z
      .number()
      .positive()
      .default(1)
      .describe('weight of a wanted answer')
      .meta({ condition: oneOf('loss', 'kto') }),
    undesirableWeight: z
      .number()
      .positive()
      .default(1)
      .describe('weight of an unwanted answer')
      .meta({ condition: oneOf('loss', 'kto') }),
    nllWeight: z
      .number()
      .nonnegative()
      .optional()
      .describe('weight of the cross-entropy of chosen answers, added to the loss (0; `orpo` 1)'),
    sinkingSteps: z
      .int()
      .nonnegative()
      .default(20)
      .describe('warn after this many consecutive steps with chosen answers less likely than at first; 0 = never')
      .meta({ changesResult: false }),
    ...conversationOptions,
    ...trainingOptions({ epochs: 1, batchSize: 8, lr: 1e-5, warmup: 0.1, weightDecay: 0 }),
  })
  .superRefine((keys, context) => {
    if (keys.loss === 'kto' && keys.batchSize * keys.accumulate < 2) {
      const hint = 'set `batchSize` to 2 or more';
      const message = '`kto` estimates the KL from mismatched answers, which a step of one answer does not have';
      context.addIssue({ code: 'custom', path: ['batchSize'], message, params: { hint } });
    }
  })
  .transform((keys) => ({
    ...keys,
    beta: keys.beta ?? (keys.loss === 'simpo' ? 2 : 0.1),
    nllWeight: keys.nllWeight ?? (keys.loss === 'orpo' ? 1 : 0),
  }));

export type DpoConfig = z.infer<typeof dpoSchema>;
