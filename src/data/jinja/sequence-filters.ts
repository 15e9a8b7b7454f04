import { itemOf } from './attributes.ts';
import type { Budget } from './budget.ts';
import { bind, wholeArgument } from './call-arguments.ts';
import { order } from './compare.ts';
import { TemplateFault } from './fault.ts';
import type { Filter } from './filter.ts';
import { applyFilter } from './filters.ts';
import { binary } from './operators.ts';
import { applyTest } from './tests.ts';
import {
  type CallArguments,
  Dict,
  Generator,
  isTrue,
  itemsOf,
  Safe,
  Tuple,
  typeName,
  Undefined,
  type Value,
  wideCharacters,
} from './values.ts';

/** Returns a function that gets an attribute such as `a.0.b` of an item, or the item itself if the path is None. */
function getter(path: Value, budget: Budget, fallback: Value = null): (item: Value) => Value {
  if (path === null) return (item) => item;
  const parts: Value[] =
    typeof path === 'string' ? path.split('.').map((part) => (/^\d+$/.test(part) ? BigInt(part) : part)) : [path];
  return (item) =>
    parts.reduce((found: Value, part) => {
      const next = itemOf(found, part, budget);
      return next instanceof Undefined && fallback !== null ? fallback : next;
    }, item);
}

const withoutCase = (value: Value): Value =>
  typeof value === 'string' ? value.toLowerCase() : value instanceof Safe ? value.text.toLowerCase() : value;

const map: Filter = (value, given, budget) => {
  if (!isTrue(value)) return new Generator([]);
  const { positional, named } = given;
  const [name, ...rest] = positional;
  const apply = name === undefined ? attributeGetter(named, budget) : (item: Value) => filtered(name, item, rest);
  const filtered = (filter: Value, item: Value, others: Value[]): Value =>
    applyFilter(String(filter), item, { positional: others, named }, budget);
  return new Generator(itemsOf(value, budget).map(apply));
};

function attributeGetter(named: CallArguments['named'], budget: Budget): (item: Value) => Value {
  const [attribute, fallback = null] = bind('map', { positional: [], named }, ['attribute', 'default'], 1);
  return getter(attribute!, budget, fallback);
}

/** The filters `select`, `reject`, `selectattr` and `rejectattr`. */
function selecting({ wanted, byAttribute }: { wanted: boolean; byAttribute: boolean }): Filter {
  return (value, { positional, named }, budget) => {
    if (!isTrue(value)) return new Generator([]);
    const [path, rest] = byAttribute ? [positional[0], positional.slice(1)] : [null, positional];
    if (path === undefined) throw new TemplateFault('selectattr and rejectattr need the name of an attribute');
    const get = getter(path, budget);
    const [test, ...others] = rest;
    const passes = (item: Value): boolean =>
      test === undefined ? isTrue(item) : applyTest(String(test), item, { positional: others, named }, budget);
    return new Generator(itemsOf(value, budget).filter((item) => passes(get(item)) === wanted));
  };
}

const sort: Filter = (value, given, budget) => {
  const [reverse = false, caseSensitive = false, attribute = null] = bind('sort', given, [
    'reverse',
    'case_sensitive',
    'attribute',
  ]);
  const paths = typeof attribute === 'string' ? attribute.split(',') : [attribute];
  const getters = paths.map((path) => getter(path, budget));
  const keyOf = (item: Value): Value[] =>
    getters.map((get) => (isTrue(caseSensitive) ? get(item) : withoutCase(get(item))));
  return sorted(itemsOf(value, budget), keyOf, isTrue(reverse), budget);
};

/** Sorts stably, also in reverse. */
function sorted(items: readonly Value[], keyOf: (item: Value) => Value, isReversed: boolean, budget: Budget): Value[] {
  const keyed = items.map((item) => ({ item, key: keyOf(item) }));
  keyed.sort((a, b) => (isReversed ? order(b.key, a.key, budget) : order(a.key, b.key, budget)));
  return keyed.map(({ item }) => item);
}

const dictsort: Filter = (value, given, budget) => {
  const [caseSensitive = false, by = 'key', reverse = false] = bind('dictsort', given, [
    'case_sensitive',
    'by',
    'reverse',
  ]);
  if (value instanceof Undefined) throw value.fault();
  if (!(value instanceof Dict)) throw new TemplateFault(`dictsort needs a dict and not a ${typeName(value)}`);
  if (by !== 'key' && by !== 'value') throw new TemplateFault('dictsort sorts by "key" or "value"');
  const entries = value.entries().map((entry) => new Tuple(entry));
  const part = (entry: Value): Value => (entry as Tuple).items[by === 'key' ? 0 : 1]!;
  return sorted(
    entries,
    (entry) => (isTrue(caseSensitive) ? part(entry) : withoutCase(part(entry))),
    isTrue(reverse),
    budget,
  );
};

/** The filters `min` and `max`; the first of equal items wins. */
function extreme(name: string, sign: number): Filter {
  return (value, given, budget) => {
    const [caseSensitive = false, attribute = null] = bind(name, given, ['case_sensitive', 'attribute']);
    const get = getter(attribute, budget);
    const keyOf = (item: Value): Value => (isTrue(caseSensitive) ? get(item) : withoutCase(get(item)));
    const [first, ...rest] = itemsOf(value, budget);
    if (first === undefined) return new Undefined(`${name} is given nothing`);
    return rest.reduce((best, item) => (sign * order(keyOf(item), keyOf(best), budget) > 0 ? item : best), first);
  };
}

const unique: Filter = (value, given, budget) => {
  const [caseSensitive = false, attribute = null] = bind('unique', given, ['case_sensitive', 'attribute']);
  const get = getter(attribute, budget);
  const first = new Dict();
  for (const item of itemsOf(value, budget)) {
    const key = isTrue(caseSensitive) ? get(item) : withoutCase(get(item));
    if (first.get(key) === undefined) first.set(key, item);
  }
  return new Generator(first.entries().map(([, item]) => item));
};

const reverse: Filter = (value, _given, budget) => {
  if (typeof value === 'string') return (wideCharacters(value) ?? value.split('')).reverse().join('');
  if (value instanceof Safe) return new Safe((wideCharacters(value.text) ?? value.text.split('')).reverse().join(''));
  const items = [...itemsOf(value, budget)].reverse();
  return value instanceof Generator ? items : new Generator(items);
};

const sum: Filter = (value, given, budget) => {
  const [attribute = null, start = 0n] = bind('sum', given, ['attribute', 'start']);
  const get = getter(attribute, budget);
  return itemsOf(value, budget).reduce((total, item) => binary('+', total, get(item), budget), start);
};

const batch: Filter = (value, given, budget) => {
  const [lineCount, fill = null] = bind('batch', given, ['linecount', 'fill_with'], 1);
  const [size, items] = [wholeArgument(lineCount, 'batch'), itemsOf(value, budget)];
  if (size < 1) throw new TemplateFault('batch needs a size of at least 1');
  const lines: Value[][] = [];
  for (let start = 0; start < items.length; start += size) lines.push(items.slice(start, start + size));
  const last = lines.at(-1);
  if (last && fill !== null) {
    budget.spend(size - last.length);
    while (last.length < size) last.push(fill);
  }
  return new Generator(lines);
};

export const sequenceFilters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['batch', batch],
  ['dictsort', dictsort],
  [
    'first',
    (value, _given, budget) => {
      const first = value instanceof Generator ? value.next() : itemsOf(value, budget)[0];
      return first ?? (first === null ? null : new Undefined('first is given nothing'));
    },
  ],
  [
    'items',
    (value) => {
      if (!(value instanceof Dict || value instanceof Undefined))
        throw new TemplateFault(`items needs a dict and not a ${typeName(value)}`);
      return new Generator(value instanceof Dict ? value.entries().map((entry) => new Tuple(entry)) : []);
    },
  ],
  [
    'last',
    (value, _given, budget) => {
      if (value instanceof Generator) throw new TemplateFault('last cannot go backwards through a generator');
      const last = itemsOf(value, budget).at(-1);
      return last === undefined ? new Undefined('last is given nothing') : last;
    },
  ],
  ['list', (value, _given, budget) => [...itemsOf(value, budget)]],
  ['map', map],
  ['max', extreme('max', 1)],
  ['min', extreme('min', -1)],
  ['reject', selecting({ wanted: false, byAttribute: false })],
  ['rejectattr', selecting({ wanted: false, byAttribute: true })],
  ['reverse', reverse],
  ['select', selecting({ wanted: true, byAttribute: false })],
  ['selectattr', selecting({ wanted: true, byAttribute: true })],
  ['sort', sort],
  ['sum', sum],
  ['unique', unique],
]);
