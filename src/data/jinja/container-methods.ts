import { bind, wholeArgument } from './call-arguments.ts';
import { isEqual } from './compare.ts';
import { TemplateFault } from './fault.ts';
import type { Method } from './method.ts';
import { Dict, Tuple, type Value, View } from './values.ts';

const count: Method<readonly Value[]> = (self, given, budget) => {
  const [value] = bind('.count()', given, ['value'], 1);
  return BigInt(self.filter((item) => isEqual(item, value!, budget)).length);
};

const index: Method<readonly Value[]> = (self, given, budget) => {
  const [value, start, stop] = bind('.index()', given, ['value', 'start', 'stop'], 1);
  const bound = (at: Value | undefined, otherwise: number): number => {
    const whole = at === undefined ? otherwise : wholeArgument(at, '.index()');
    return whole < 0 ? Math.max(0, whole + self.length) : whole;
  };
  const found = self.findIndex(
    (item, i) => i >= bound(start, 0) && i < bound(stop, self.length) && isEqual(item, value!, budget),
  );
  if (found < 0) throw new TemplateFault('.index() does not find the value');
  return BigInt(found);
};

/** Methods that do not change the container; transformers' sandbox refuses the others, too. */
export const containerMethods = {
  list: new Map<string, Method<readonly Value[]>>([
    ['copy', (self) => [...self]],
    ['count', count],
    ['index', index],
  ]),
  tuple: new Map<string, Method<readonly Value[]>>([
    ['count', count],
    ['index', index],
  ]),
  dict: new Map<string, Method<Dict>>([
    ['copy', (self) => new Dict(self.entries())],
    [
      'items',
      (self) =>
        new View(
          'dict_items',
          self.entries().map((entry) => new Tuple(entry)),
        ),
    ],
    ['keys', (self) => new View('dict_keys', self.keys())],
    [
      'values',
      (self) =>
        new View(
          'dict_values',
          self.entries().map(([, value]) => value),
        ),
    ],
    [
      'get',
      (self, given) => {
        const [key, otherwise] = bind('.get()', given, ['key', 'default'], 1);
        return self.get(key!) ?? otherwise ?? null;
      },
    ],
  ]),
};
