declare module 'zod' {
  interface GlobalMeta {
    /** How `--scale` changes the value of a key that determines the amount of work. */
    scaling?: Scaling;
  }
}

/** Computes the value of a key in a run with `scale` times the work. */
export type Scaling = (value: number, scale: number) => number;

/** Scales amounts that can be fractional, such as passes over the data. */
export const asAmount: Scaling = (value, scale) => value * scale;

/** Scales whole numbers, such as steps; a positive number stays at least 1. */
export const asCount: Scaling = (value, scale) => Math.max(Math.min(1, value), Math.round(value * scale));

/** Scales a warm-up given in steps. One given as a share of all steps, below 1, stays the same. */
export const asWarmup: Scaling = (value, scale) => (value < 1 ? value : asCount(value, scale));
