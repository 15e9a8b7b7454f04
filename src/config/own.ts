/**
 * What an object itself has under a name that somebody wrote; `constructor` and whatever else it inherits is not there.
 */
export function own<T>(record: Readonly<Record<string, T>> | undefined, name: PropertyKey): T | undefined {
  return record && Object.hasOwn(record, name) ? record[name as string] : undefined;
}
