import type { Budget } from './budget.ts';
import { TemplateFault, unsupported } from './fault.ts';

/** Python's values: int is a bigint, float a number, str a string, None null, list an array. */
export type Value = null | boolean | bigint | number | string | Value[] | Thing;
export type Thing = Undefined | Tuple | Dict | View | Range | Generator | Namespace | Safe | Callable;

/** The value of a name or attribute that does not exist: prints nothing, is false, and fails in any other use. */
export class Undefined {
  readonly says: string;

  constructor(says: string) {
    this.says = says;
  }

  fault(): TemplateFault {
    return new TemplateFault(this.says);
  }
}

export class Tuple {
  readonly items: readonly Value[];

  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

/** A dict: keys are in the order of their first insertion; 1, 1.0 and true are the same key. */
export class Dict {
  readonly #entries = new Map<string, [Value, Value]>();

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1];
  }

  set(key: Value, value: Value): void {
    const hash = hashOf(key);
    this.#entries.set(hash, [this.#entries.get(hash)?.[0] ?? key, value]);
  }

  entries(): [Value, Value][] {
    return [...this.#entries.values()];
  }

  keys(): Value[] {
    return this.entries().map(([key]) => key);
  }
}

/** The result of a dict's `keys()`, `values()` or `items()`. */
export class View {
  readonly kind: 'dict_keys' | 'dict_values' | 'dict_items';
  readonly items: readonly Value[];

  constructor(kind: View['kind'], items: readonly Value[]) {
    this.kind = kind;
    this.items = items;
  }
}

export class Range {
  readonly start: bigint;
  readonly stop: bigint;
  readonly step: bigint;

  constructor(start: bigint, stop: bigint, step: bigint) {
    [this.start, this.stop, this.step] = [start, stop, step];
  }

  get length(): number {
    const { start, stop, step } = this;
    const span = step > 0n ? stop - start + step - 1n : start - stop - step - 1n;
    return Number(span > 0n ? span / (step > 0n ? step : -step) : 0n);
  }

  at(index: number): bigint | undefined {
    const place = index < 0 ? index + this.length : index;
    return place >= 0 && place < this.length ? this.start + BigInt(place) * this.step : undefined;
  }

  items(): bigint[] {
    return Array.from({ length: this.length }, (_, i) => this.start + BigInt(i) * this.step);
  }
}

/** The result of filters such as `map` and `select`: it can be iterated over once. */
export class Generator {
  readonly #items: Value[];

  constructor(items: readonly Value[]) {
    this.#items = [...items];
  }

  take(): Value[] {
    return this.#items.splice(0);
  }

  /** Removes and returns the first item. */
  next(): Value | undefined {
    return this.#items.shift();
  }
}

export class Namespace {
  readonly attributes: Map<string, Value>;

  constructor(attributes: Iterable<readonly [string, Value]>) {
    this.attributes = new Map(attributes);
  }
}

/** Text marked by the filter `safe` (markupsafe's `Markup`): what is added to it is escaped. */
export class Safe {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export interface CallArguments {
  positional: Value[];
  named: Map<string, Value>;
}

/** A function, method, macro or loop variable. */
export class Callable {
  readonly name: string;
  readonly call: (given: CallArguments) => Value;
  /** Attributes, of the loop variable and of macros. */
  readonly attributes: (name: string) => Value | undefined;

  constructor(name: string, call: Callable['call'], attributes: Callable['attributes'] = () => undefined) {
    this.name = name;
    this.call = call;
    this.attributes = attributes;
  }
}

/** The name of a value's type in Python. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'bigint':
      return 'int';
    case 'number':
      return 'float';
    case 'string':
      return 'str';
  }
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Tuple) return 'tuple';
  if (value instanceof Dict) return 'dict';
  if (value instanceof View) return value.kind;
  if (value instanceof Range) return 'range';
  if (value instanceof Generator) return 'generator';
  if (value instanceof Namespace) return 'namespace';
  if (value instanceof Safe) return 'Markup';
  return 'function';
}

/** A text that identifies a key of a dict; equal keys have equal texts. */
function hashOf(key: Value): string {
  switch (typeof key) {
    case 'string':
      return `s${key}`;
    case 'bigint':
      return `n${key}`;
    case 'boolean':
      return `n${Number(key)}`;
    case 'number':
      return Number.isInteger(key) ? `n${BigInt(key)}` : `n${key}`;
  }
  if (key === null) return 'none';
  if (key instanceof Safe) return `s${key.text}`;
  if (key instanceof Undefined) return 'undefined';
  if (key instanceof Range) return `r${key.length}/${key.start}/${key.step}`;
  if (key instanceof Tuple) {
    if (key.items.some((item) => item instanceof Tuple)) throw unsupported('a tuple in a tuple as the key of a dict');
    return `t${JSON.stringify(key.items.map(hashOf))}`;
  }
  throw new TemplateFault(`a ${typeName(key)} cannot be the key of a dict`);
}

/** Converts a JSON value; whole numbers become ints. */
export function fromJson(value: unknown): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint') return value;
  if (Array.isArray(value)) return value.map(fromJson);
  return new Dict(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
}

/** A value of a template as JSON has it; undefined for what is not there. @throws TemplateFault for what JSON lacks */
export function toJson(value: Value): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
    return value;
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Undefined) return undefined;
  if (value instanceof Safe) return value.text;
  if (value instanceof Tuple || value instanceof View) return value.items.map(toJson);
  if (value instanceof Dict)
    return Object.fromEntries(value.entries().map(([key, item]) => [String(toJson(key)), toJson(item)]));
  throw new TemplateFault(`gives a ${typeName(value)}, which is no value`);
}

/** Whether a value is true in a condition, as in Python. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value === null || typeof value !== 'object') return Boolean(value);
  if (value instanceof Undefined) return false;
  if (value instanceof Dict) return value.size > 0;
  if (value instanceof Tuple || value instanceof View) return value.items.length > 0;
  if (value instanceof Range) return value.length > 0;
  return value instanceof Safe ? value.text !== '' : true;
}

/** The characters of a text as Python counts them; undefined if these are simply its UTF-16 units. */
export const wideCharacters = (text: string): string[] | undefined =>
  /[\ud800-\udbff][\udc00-\udfff]/.test(text) ? Array.from(text) : undefined;

export const lengthOfText = (text: string): number => wideCharacters(text)?.length ?? text.length;

/** The items of an iterable value. @throws TemplateFault for other values */
export function itemsOf(value: Value, budget: Budget): readonly Value[] {
  budget.spend(sizeOf(value) ?? 0);
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') return Array.from(value);
  if (value instanceof Tuple || value instanceof View) return value.items;
  if (value instanceof Dict) return value.keys();
  if (value instanceof Range) return value.items();
  if (value instanceof Generator) return value.take();
  if (value instanceof Undefined) return [];
  if (value instanceof Safe) return Array.from(value.text, (character) => new Safe(character));
  throw new TemplateFault(`a ${typeName(value)} is not iterable`);
}

export function lengthOf(value: Value): number {
  const size =
    typeof value === 'string' || value instanceof Safe
      ? lengthOfText(typeof value === 'string' ? value : value.text)
      : sizeOf(value);
  if (size !== undefined) return size;
  throw new TemplateFault(`a ${typeName(value)} has no length`);
}

/** Number of items, or of UTF-16 units; undefined if it is not known. */
function sizeOf(value: Value): number | undefined {
  if (typeof value === 'string' || Array.isArray(value) || value instanceof Range) return value.length;
  if (value instanceof Safe) return value.text.length;
  if (value instanceof Dict) return value.size;
  if (value instanceof Tuple || value instanceof View) return value.items.length;
  return value instanceof Undefined ? 0 : undefined;
}
