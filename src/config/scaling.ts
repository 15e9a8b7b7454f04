declare module 'zod' {
  interface GlobalMeta {
    /** Of a key that measures out work: what `--scale` makes of it. */
    scaling?: Scaling;
  }
}

/** The value of a key in a run of `scale` times the work. */
export type Scaling = (value: number, scale: number) => number;

/** Of what can be divided, such as passes over the data. */
export const asAmount: Scaling = (value, scale) => value * scale;

/** Of what is counted, such as steps: of any at all, one stays. */
export const asCount: Scaling = (value, scale) => Math.max(Math.min(1, value), Math.round(value * scale));

/** Of a warm-up in steps; as a share of all steps, below 1, it shrinks with these. */
export const asWarmup: Scaling = (value, scale) => (value < 1 ? value : asCount(value, scale));
