import { describe, expect, it } from 'vitest';
import { DataCursor } from '../../src/data/cursor.ts';

function take(cursor: DataCursor, times: number, count: number): number[][] {
  return Array.from({ length: times }, () => cursor.next(count));
}

describe('DataCursor', () => {
  it('gives each row once an epoch and keeps the short batch at its end', () => {
    const batches = take(new DataCursor(10, 1), 6, 4);
    expect(batches.map((batch) => batch.length)).toEqual([4, 4, 2, 4, 4, 2]);
    const everyRow = Array.from({ length: 10 }, (_, row) => row);
    for (const epoch of [batches.slice(0, 3), batches.slice(3)]) {
      expect(epoch.flat().sort((a, b) => a - b)).toEqual(everyRow);
    }
    expect(batches.slice(0, 3).flat()).not.toEqual(batches.slice(3).flat());
  });

  it('gives out more rows at once than a call has arguments', () => {
    expect(new DataCursor(200_000, 1).take(300_000)).toHaveLength(300_000);
  });

  it('depends on the seed alone', () => {
    expect(take(new DataCursor(50, 7), 3, 20)).toEqual(take(new DataCursor(50, 7), 3, 20));
    expect(new DataCursor(50, 7).next(50)).not.toEqual(new DataCursor(50, 8).next(50));
  });

  it('goes on exactly from any state, saved as JSON', () => {
    const whole = take(new DataCursor(7, 3), 12, 3);
    for (let stop = 0; stop <= whole.length; stop++) {
      const first = new DataCursor(7, 3);
      take(first, stop, 3);
      const second = new DataCursor(7, 3);
      second.restore(JSON.parse(JSON.stringify(first.state())));
      expect(take(second, whole.length - stop, 3)).toEqual(whole.slice(stop));
    }
  });

  it('refuses the state of other data', () => {
    const cursor = new DataCursor(8, 3);
    expect(() => cursor.restore({ rows: 7, epoch: 0, position: 2 })).toThrow(/row 2 of 7, but the data has 8 rows/);
  });
});
