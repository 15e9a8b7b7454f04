/**
 * The PPO settings of known implementations and papers, by mixtune's keys. Keys that a source does not specify keep
 * mixtune's defaults.
 *
 * - `trl`: `PPOConfig` of TRL (July 2026); it does not whiten rewards
 * - `openrlhf`: the defaults of `openrlhf.cli.train_ppo_ray` (commit 021d1b0)
 * - `instructgpt`: Ouyang et al. 2022 (arXiv 2203.02155), appendix C.4; its warm-up is 10 iterations of 8 updates.
 *   `pretrainWeight` and `pretrainRatio` only have an effect with `pretrainData`
 * - `lm-human-preferences`: OpenAI's code for Ziegler et al. 2019, with the details given by Huang et al. 2024 (arXiv
 *   2403.17031)
 */
export const ppoPresets = {
  trl: {
    lr: 3e-6,
    valueLr: 3e-6,
    klCoefficient: 0.05,
    klKind: 'k1',
    gamma: 1,
    lambda: 0.95,
    clipRange: 0.2,
    valueClip: 0.2,
    valueWeight: 0.1,
    passes: 4,
    minibatches: 1,
    whitenRewards: false,
    temperature: 0.7,
    maxNewTokens: 53,
    missingEosPenalty: 0,
  },
  openrlhf: {
    lr: 1e-6,
    valueLr: 9e-6,
    warmup: 0.03,
    klCoefficient: 0.01,
    klKind: 'k1',
    klHorizon: 10_000,
    gamma: 1,
    lambda: 1,
    clipRange: 0.2,
    valueClip: 0.5,
    passes: 1,
    batchSize: 1024,
    minibatches: 8,
    scoreClip: 10,
    pretrainWeight: 0.05,
    temperature: 1,
    maxNewTokens: 1024,
    missingEosPenalty: 0,
  },
  instructgpt: {
    valueLr: 9e-6,
    warmup: 80,
    klCoefficient: 0.02,
    clipRange: 0.2,
    passes: 1,
    batchSize: 512,
    minibatches: 8,
    averageDecay: 0.992,
    pretrainWeight: 27.8,
    pretrainRatio: 8,
    temperature: 1,
  },
  'lm-human-preferences': {
    critic: 'shared',
    lr: 1e-5,
    epsilon: 1e-5,
    klCoefficient: 0.15,
    klTarget: 6,
    klHorizon: 10_000,
    gamma: 1,
    lambda: 0.95,
    clipRange: 0.2,
    valueClip: 0.2,
    valueWeight: 0.1,
    passes: 4,
    minibatches: 1,
    whitenRewards: true,
    temperature: 0.7,
    maxNewTokens: 24,
  },
} as const;
