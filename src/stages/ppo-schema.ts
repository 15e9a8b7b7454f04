import { z } from 'zod';
import { aboveZero, given, oneOf } from '../config/conditions.ts';
import { klKinds } from '../losses/kl.ts';
import { ppoPresets } from '../reinforcement/ppo-presets.ts';
import { reinforcementSchema } from '../reinforcement/state.ts';

export const ppoSchema = reinforcementSchema(
  {
    samplesPerPrompt: z.int().positive().default(1).describe('responses to each prompt'),
    passes: z.int().positive().default(4).describe("passes over an iteration's responses (PPO epochs)"),
    critic: z
      .enum(['auto', 'reward', 'policy', 'shared'])
      .default('auto')
      .describe(
        "what the critic starts as: the reward model, the policy's decoder with a new head, or a head on the policy itself; auto = reward if its unscaled rewards are all that is learned from, else policy",
      ),
    valueLr: z
      .number()
      .positive()
      .default(9e-6)
      .describe('peak learning rate of a separate critic')
      .meta({ condition: oneOf('critic', 'auto', 'reward', 'policy') }),
    valueWeight: z
      .number()
      .positive()
      .default(0.1)
      .describe('weight of the value loss on a shared trunk')
      .meta({ condition: oneOf('critic', 'shared') }),
    klCoefficient: z
      .number()
      .nonnegative()
      .default(0.05)
      .describe('weight of the KL to the reference, subtracted from the rewards'),
    klKind: z
      .enum(klKinds)
      .default('k1')
      .describe("estimator of a token's KL")
      .meta({ condition: aboveZero('klCoefficient') }),
    klTarget: z
      .number()
      .positive()
      .optional()
      .describe('KL to adapt the coefficient to, in nats per response')
      .meta({ condition: aboveZero('klCoefficient') }),
    klHorizon: z
      .number()
      .positive()
      .default(10_000)
      .describe('responses over which the coefficient may change by a factor of e')
      .meta({ condition: given('klTarget') }),
    clipRange: z.number().positive().default(0.2).describe('largest distance of the probability ratio from 1'),
    valueClip: z.number().positive().default(0.2).describe('largest change of a value from its value at sampling time'),
    gamma: z.number().min(0).max(1).default(1).describe("discount of the next token's reward"),
    lambda: z.number().min(0).max(1).default(0.95).describe('λ of GAE: 0 trusts the critic, 1 the sampled returns'),
    whitenRewards: z.boolean().default(false).describe('divide rewards by their standard deviation before GAE'),
  },
  ppoPresets,
);

export type PpoConfig = z.infer<typeof ppoSchema>;
