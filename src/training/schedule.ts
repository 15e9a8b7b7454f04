export const scheduleNames = ['cosine', 'linear', 'constant'] as const;

export interface Schedule {
  schedule: (typeof scheduleNames)[number];
  /** Updates of linear warm-up from 0. */
  warmupSteps: number;
  totalSteps: number;
  /** Share of the peak that cosine and linear end at. */
  minLr: number;
}

/**
 * Multiplier on the peak learning rate at update `step`, counted from 1, so that no update has rate 0.
 * Cosine as in the Mix-LN recipe: minLr + (1 − minLr) · ½ · (1 + cos(π · progress)).
 */
export function scheduleFactor({ schedule, warmupSteps, totalSteps, minLr }: Schedule, step: number): number {
  if (step < warmupSteps) return step / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  switch (schedule) {
    case 'cosine':
      return minLr + (1 - minLr) * 0.5 * (1 + Math.cos(Math.PI * progress));
    case 'linear':
      return 1 - (1 - minLr) * progress;
    case 'constant':
      return 1;
  }
}
