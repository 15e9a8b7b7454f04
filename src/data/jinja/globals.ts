import type { Budget } from './budget.ts';
import { bind, wholeArgument } from './call-arguments.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { strftime } from './strftime.ts';
import { textOf } from './text-of.ts';
import {
  type CallArguments,
  Callable,
  Dict,
  itemsOf,
  lengthOf,
  Namespace,
  Range,
  typeName,
  type Value,
} from './values.ts';

/** The limit of jinja2's sandbox on the length of a range. */
const longestRange = 100_000;

/** The functions that every template can call. */
export function globals(now: Date, budget: Budget): ReadonlyMap<string, Value> {
  const functions: Record<string, (given: CallArguments) => Value> = {
    range: (given) => rangeOf(given.positional, budget),
    dict: (given) => dictOf(given, budget),
    namespace: (given) => namespaceOf(given, budget),
    joiner: (given) => joinerOf(given),
    raise_exception: (given) => {
      const [message] = bind('raise_exception', given, ['message'], 1);
      throw new TemplateFault(textOf(message!, budget), undefined, 'raised');
    },
    strftime_now: (given) => {
      const [format] = bind('strftime_now', given, ['format'], 1);
      return strftime(now, textOf(format!, budget));
    },
    cycler: () => {
      throw unsupported('the function cycler');
    },
    lipsum: () => {
      throw unsupported('the function lipsum');
    },
  };
  return new Map(Object.entries(functions).map(([name, call]) => [name, new Callable(name, call)]));
}

function rangeOf(given: readonly Value[], budget: Budget): Range {
  const [first, second, third] = given.map((value) => BigInt(wholeArgument(value, 'range')));
  if (first === undefined || given.length > 3) throw new TemplateFault('range takes one to three whole numbers');
  if (third === 0n) throw new TemplateFault('the step of a range is 0');
  const range = new Range(second === undefined ? 0n : first, second ?? first, third ?? 1n);
  if (range.length > longestRange) {
    throw new TemplateFault(
      `a range of ${range.length.toLocaleString('en')} items is too long; ${longestRange.toLocaleString('en')} are allowed`,
    );
  }
  budget.spend(range.length);
  return range;
}

function dictOf({ positional, named }: CallArguments, budget: Budget): Dict {
  const [first, ...others] = positional;
  if (others.length > 0) throw new TemplateFault('dict takes one dict or list of pairs');
  const dict = new Dict(first === undefined ? [] : first instanceof Dict ? first.entries() : pairsOf(first, budget));
  for (const [name, value] of named) dict.set(name, value);
  return dict;
}

const pairsOf = (value: Value, budget: Budget): [Value, Value][] =>
  itemsOf(value, budget).map((pair) => {
    if (lengthOf(pair) !== 2) throw new TemplateFault(`a dict is made of pairs and not of a ${typeName(pair)}`);
    const [key, item] = itemsOf(pair, budget);
    return [key!, item!];
  });

function namespaceOf(given: CallArguments, budget: Budget): Namespace {
  const entries = dictOf(given, budget).entries();
  return new Namespace(
    entries.map(([key, value]) => {
      const name = textOf(key, budget);
      checkNamespaceName(name);
      return [name, value];
    }),
  );
}

/** transformers refuses these names, to keep templates away from Python's internals. */
export function checkNamespaceName(name: string): void {
  if (name.startsWith('_'))
    throw new TemplateFault(`names in a namespace must not begin with an underscore, such as ${name}`);
}

function joinerOf(given: CallArguments): Callable {
  const [separator = ', '] = bind('joiner', given, ['sep']);
  let isUsed = false;
  return new Callable('joiner', () => {
    const text = isUsed ? separator : '';
    isUsed = true;
    return text;
  });
}
