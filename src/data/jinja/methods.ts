import type { Budget } from './budget.ts';
import { bind } from './call-arguments.ts';
import { containerMethods } from './container-methods.ts';
import { unsupported } from './fault.ts';
import type { Method } from './method.ts';
import { stringMethods } from './string-methods.ts';
import { Callable, Dict, Safe, Tuple, type Value } from './values.ts';

const names = (text: string): readonly string[] => text.split(' ');

/** The methods and attributes of Python's types. */
const python = {
  str: names(
    'capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill',
  ),
  dict: names('clear copy fromkeys get items keys pop popitem setdefault update values'),
  list: names('append clear copy count extend index insert pop remove reverse sort'),
  tuple: names('count index'),
  number: names(
    'as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag is_integer numerator real to_bytes',
  ),
};

/** Methods of Python's types that no type has here. Calls of them are refused when a template is parsed. */
export const unsupportedMethods: ReadonlySet<string> = new Set(
  Object.values(python)
    .flat()
    .filter(
      (name) => !stringMethods.has(name) && !Object.values(containerMethods).some((methods) => methods.has(name)),
    ),
);

/** The methods and attributes of the value's type in Python, whether or not they are supported here. */
export function pythonMethods(value: Value): readonly string[] {
  if (typeof value === 'string' || value instanceof Safe) return python.str;
  if (value instanceof Dict) return python.dict;
  if (Array.isArray(value)) return python.list;
  if (value instanceof Tuple) return python.tuple;
  return typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean' ? python.number : [];
}

export function methodOf(value: Value, name: string, budget: Budget): Callable | undefined {
  if (value instanceof Safe && stringMethods.has(name)) throw unsupported(`.${name} of a text marked as safe`);
  if (typeof value === 'string') return bound(value, stringMethods, name, budget, value.length >>> 6);
  if (value instanceof Dict) return bound(value, containerMethods.dict, name, budget, value.size);
  if (Array.isArray(value)) return bound(value, containerMethods.list, name, budget, value.length);
  return value instanceof Tuple
    ? bound(value.items, containerMethods.tuple, name, budget, value.items.length)
    : undefined;
}

const withoutArguments: ReadonlySet<string> = new Set(
  names(
    'capitalize copy isalnum isalpha isascii isdecimal isdigit islower isspace isupper items keys lower title upper values',
  ),
);

/** Binds a method to a value; each call costs the given number of steps. */
function bound<T>(
  self: T,
  methods: ReadonlyMap<string, Method<T>>,
  name: string,
  budget: Budget,
  steps: number,
): Callable | undefined {
  const method = methods.get(name);
  return (
    method &&
    new Callable(`.${name}()`, (given) => {
      if (withoutArguments.has(name)) bind(`.${name}()`, given, []);
      budget.spend(steps);
      return method(self, given, budget);
    })
  );
}
