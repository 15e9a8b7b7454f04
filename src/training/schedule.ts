export const scheduleNames = ['cosine', 'linear', 'constant'] as const;

export interface Schedule {
  schedule: (typeof scheduleNames)[number];
  /** Number of updates before the first one at the peak rate. */
  warmupSteps: number;
  totalSteps: number;
  /** Fraction of the peak rate that cosine and linear would reach one update after the last. */
  minLr: number;
}

/**
 * Multiplier on the peak learning rate at update `step`, counted from 1. The schedules are those of transformers,
 * except that they do not start with an update of rate 0: each of the W warm-up updates raises the rate by 1 / (W + 1),
 * and the peak and everything after it are the same. Cosine: minLr + (1 − minLr) · ½ · (1 + cos(π · progress)).
 */
export function scheduleFactor({ schedule, warmupSteps, totalSteps, minLr }: Schedule, step: number): number {
  if (step <= warmupSteps) return step / (warmupSteps + 1);
  const progress = Math.min(1, (step - 1 - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  switch (schedule) {
    case 'cosine':
      return minLr + (1 - minLr) * 0.5 * (1 + Math.cos(Math.PI * progress));
    case 'linear':
      return 1 - (1 - minLr) * progress;
    case 'constant':
      return 1;
  }
}
