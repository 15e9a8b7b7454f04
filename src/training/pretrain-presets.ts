/**
 * What a paper uses for pre-training, by mixtune's keys. The model, the steps, the peak rate and how a batch is split
 * into micro-batches belong to a recipe (`pipelines/paper/`).
 *
 * - `mix-ln`: Li, Yin and Liu 2025 (arXiv 2412.13795), appendix A.1, and the scripts of its authors
 *   (pixeli99/MixLN at ff45826): PyTorch's Adam with its own defaults, no weight decay, no clipping, 10 % warm-up, a
 *   cosine to a tenth of the peak. Their first update has the rate 0, which here has that of the next one, and their
 *   weights and moments are bfloat16, here float32
 */
export const pretrainPresets = {
  'mix-ln': {
    length: 256,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    clip: 0,
    schedule: 'cosine',
    warmup: 0.1,
    minLr: 0.1,
  },
} as const;
