export const scheduleNames = ['cosine', 'linear', 'constant'] as const;

export interface Schedule {
  schedule: (typeof scheduleNames)[number];
  /** Updates below the peak before the first one at it. */
  warmupSteps: number;
  totalSteps: number;
  /** Share of the peak that cosine and linear would come to in an update after the last. */
  minLr: number;
}

/**
 * Multiplier on the peak learning rate at update `step`, counted from 1: the schedules of transformers with one step
 * more of each kind, as their step 0 would be an update of rate 0. So the peak and all that follows it are theirs, and
 * W updates of warm-up rise by 1 / (W + 1) each. Cosine: minLr + (1 − minLr) · ½ · (1 + cos(π · progress)).
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
