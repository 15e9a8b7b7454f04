import type { Backend } from './backend.ts';

/** Of matrix products, as a user may ask for it. */
export type ProductPrecision = 'f32' | 'bf16';

export type Availability = (
  | {
      available: true;
      /** What products are in where nothing else is asked for. */
      precision: ProductPrecision;
      /** What there is, in a few words. */
      summary: string;
    }
  | {
      available: false;
      /** In one sentence. */
      reason: string;
    }
) & {
  /** What else is known, such as the compiler; for programs. */
  facts?: Readonly<Record<string, string>>;
};

/** A way to compute, listed in index.ts: all that is known of it before it is opened. */
export interface BackendKind {
  /** What a user calls it, and its backends are called. */
  readonly name: string;
  /** The precisions of products that can be asked for. */
  readonly precisions: readonly ProductPrecision[];
  /** True where JavaScript multiplies: for small models only. */
  readonly isInterpreted: boolean;
  /** How it is made available where it is not. */
  readonly hint?: string;
  /** Whether it can be opened here; never throws. */
  available(): Promise<Availability>;
  /**
   * @param request precision: by default what suits the processor; threads: by default all that the process may use
   * @throws Error with the reason where it is not available
   */
  open(request: { precision?: ProductPrecision; threads?: number }): Promise<Backend>;
}
