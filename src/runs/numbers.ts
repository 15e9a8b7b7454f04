import { z } from 'zod';

/** The strings that represent numbers that JSON cannot express. */
const nonFinite: ReadonlyMap<unknown, number> = new Map(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => [String(value), value]),
);

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : nonFinite.get(value));

/** A number, or the string for one that JSON cannot express. */
export const numberSchema = z
  .unknown()
  .transform(numberOf)
  .pipe(z.custom<number>((value) => value !== undefined, 'expected a number'));

/** JSON in which numbers that are not finite are written as strings: "NaN", "Infinity", "-Infinity". */
export function jsonText(value: unknown, indent?: number): string {
  const named = (_: string, inner: unknown) =>
    typeof inner === 'number' && !Number.isFinite(inner) ? String(inner) : inner;
  return JSON.stringify(value, named, indent);
}

/** The entries of a record whose values are numbers, or strings for numbers that JSON cannot express. */
export function numbersOf(record: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => {
      const number = numberOf(value);
      return number === undefined ? [] : [[key, number]];
    }),
  );
}
