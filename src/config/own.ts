/**
 * The value of an object's own property; undefined for `constructor` and other inherited names, so a name that a user
 * wrote is safe.
 */
export function own<T>(record: Readonly<Record<string, T>> | undefined, name: PropertyKey): T | undefined {
  return record && Object.hasOwn(record, name) ? record[name as string] : undefined;
}
