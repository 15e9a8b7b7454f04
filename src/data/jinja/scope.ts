import { Undefined, type Value } from './values.ts';

/** The names of a template, loop iteration or macro; other names are looked up in the enclosing scope. */
export class Scope {
  readonly #values: Map<string, Value>;
  readonly #outside: Scope | undefined;

  constructor(values: Iterable<readonly [string, Value]> = [], outside?: Scope) {
    this.#values = new Map(values);
    this.#outside = outside;
  }

  get(name: string): Value {
    for (let scope: Scope | undefined = this; scope; scope = scope.#outside) {
      const value = scope.#values.get(name);
      if (value !== undefined) return value;
    }
    return new Undefined(`${JSON.stringify(name)} is not defined`);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}
