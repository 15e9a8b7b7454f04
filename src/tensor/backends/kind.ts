import type { Backend } from './backend.ts';

/** The precision of matrix products that a user can ask for. */
export type ProductPrecision = 'f32' | 'bf16';

export type Availability = (
  | {
      available: true;
      /** The default precision of products. */
      precision: ProductPrecision;
      /** What is available, in a few words. */
      summary: string;
    }
  | {
      available: false;
      /** Why it is not available, in one sentence. */
      reason: string;
    }
) & {
  /** Further facts for programs, such as the compiler. */
  facts?: Readonly<Record<string, string>>;
};

/** A kind of backend, listed in index.ts, with what is known about it before it is opened. */
export interface BackendKind {
  /** The name for users, which is also that of its backends. */
  readonly name: string;
  /** The supported precisions of products. */
  readonly precisions: readonly ProductPrecision[];
  /** Whether it computes in JavaScript, which is only suitable for small models. */
  readonly isInterpreted: boolean;
  /** How to make it available. */
  readonly hint?: string;
  /** Whether it can be opened here; never throws. */
  available(): Promise<Availability>;
  /**
   * Opens a backend.
   * @param request precision: default: what suits the processor; threads: default: all that the process may use
   * @throws Error with the reason if it is not available
   */
  open(request: { precision?: ProductPrecision; threads?: number }): Promise<Backend>;
}
