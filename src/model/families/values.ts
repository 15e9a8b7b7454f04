import type { Problem } from '../../errors.ts';

/** The top level of a config.json. */
export type Json = Readonly<Record<string, unknown>>;

/** A whole number from 1 to `most`. A fallback of NaN follows from a key that is a problem already, and is none. */
export function count(
  json: Json,
  key: string,
  problems: Problem[],
  fallback?: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = json[key] ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  const isConsequence = Number.isNaN(value);
  if (!isConsequence) {
    const range = most === Number.MAX_SAFE_INTEGER ? 'from 1' : `from 1 to ${most}`;
    problems.push({ where: key, message: `${JSON.stringify(value) ?? 'missing'}; a whole number ${range} is needed` });
  }
  return Number.NaN;
}

/** A finite number above 0. */
export function positive(json: Json, key: string, problems: Problem[], fallback: number): number {
  const value = json[key] ?? fallback;
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  problems.push({ where: key, message: `${JSON.stringify(value)}; a number above 0 is needed` });
  return Number.NaN;
}

/** False where it is left out. */
export function flag(json: Json, key: string, problems: Problem[]): boolean {
  const value = json[key] ?? false;
  if (typeof value === 'boolean') return value;
  problems.push({ where: key, message: `${JSON.stringify(value)}; true or false is needed` });
  return false;
}

/** The value of the first of several places that has one. They must not contradict each other. */
export function agreed(places: readonly (readonly [where: string, value: unknown])[], problems: Problem[]): unknown {
  const [first, ...others] = places.filter(([, value]) => value !== undefined && value !== null);
  for (const [where, value] of others) {
    if (value === first![1]) continue;
    problems.push({
      where: `${first![0]} and ${where}`,
      message: `contradict each other: ${JSON.stringify(first![1])} and ${JSON.stringify(value)}`,
      hint: 'delete the wrong one',
    });
  }
  return first?.[1];
}

/** A value as it stands in the file, cut where it is long. */
export function asWritten(value: unknown): string {
  const json = JSON.stringify(value) ?? 'missing';
  return json.length <= 60 ? json : `${json.slice(0, 57)}…`;
}
