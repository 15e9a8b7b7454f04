import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { RandomStream } from '../random.ts';

const count = z.int().nonnegative();

/** Where a cursor is; with the seed, all that decides which rows come next. */
export const cursorSchema = z
  .strictObject({
    rows: count,
    /** From 0. */
    epoch: count,
    /** Rows of the epoch that were given out. */
    position: count,
  })
  .refine(({ rows, position }) => position <= rows, 'the position is after the last row');

export type CursorState = z.infer<typeof cursorSchema>;

/** Goes through all rows once an epoch, in an order that the seed and the epoch decide. */
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

  /** Indices of the next rows: `count` of them, or what is left of the epoch. */
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

  /** Indices of the next `count` rows; at the end of an epoch, the first of the next fill them up. */
  take(count: number): number[] {
    const indices: number[] = [];
    while (indices.length < count) for (const index of this.next(count - indices.length)) indices.push(index);
    return indices;
  }

  state(): CursorState {
    return { rows: this.rows, epoch: this.#epoch, position: this.#position };
  }

  /** Goes on from a saved state; the state of another number of rows is a RequestError. */
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
