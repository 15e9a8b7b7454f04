import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { RandomStream } from '../random.ts';

const count = z.int().nonnegative();

/** The position of a cursor; together with the seed it determines which rows come next. */
export const cursorSchema = z
  .strictObject({
    rows: count,
    /** Current epoch, from 0. */
    epoch: count,
    /** Number of rows of the epoch that have been returned. */
    position: count,
  })
  .refine(({ rows, position }) => position <= rows, 'the position is after the last row');

export type CursorState = z.infer<typeof cursorSchema>;

/** Goes through all rows once per epoch, in an order determined by the seed and the epoch. */
export class DataCursor {
  readonly rows: number;
  readonly #seed: number;
  #epoch = 0;
  #position = 0;
  #order: Int32Array;

  constructor(rows: number, seed: number) {
    this.rows = rows;
    this.#seed = seed;
    this.#order = this.#orderOf(0);
  }

  /** Indices of the next rows: `count`, or as many as are left of the epoch. */
  next(count: number): number[] {
    if (this.#position === this.rows) {
      this.#epoch++;
      this.#position = 0;
      this.#order = this.#orderOf(this.#epoch);
    }
    const end = Math.min(this.#position + count, this.rows);
    const indices = [...this.#order.subarray(this.#position, end)];
    this.#position = end;
    return indices;
  }

  /** Indices of the next `count` rows, which may continue into the next epoch. */
  take(count: number): number[] {
    const indices: number[] = [];
    while (indices.length < count) for (const index of this.next(count - indices.length)) indices.push(index);
    return indices;
  }

  state(): CursorState {
    return { rows: this.rows, epoch: this.#epoch, position: this.#position };
  }

  /** Continues from a saved state. @throws RequestError if it is of a different number of rows */
  restore({ rows, epoch, position }: CursorState): void {
    if (rows !== this.rows) {
      throw new RequestError({
        message: `the saved state is at row ${position} of ${rows}, but the data has ${this.rows} rows now`,
        hint: 'continue with the same data, or start a new run',
      });
    }
    this.#epoch = epoch;
    this.#position = position;
    this.#order = this.#orderOf(epoch);
  }

  #orderOf(epoch: number): Int32Array {
    const stream = new RandomStream(this.#seed, `data/epoch-${epoch}`);
    return stream.shuffle(Int32Array.from({ length: this.rows }, (_, index) => index));
  }
}
