import type { Budget } from './budget.ts';
import { isEqual } from './compare.ts';
import { unsupported } from './fault.ts';
import { type CallArguments, Callable, Tuple, Undefined, type Value } from './values.ts';

/** The variable `loop` of each iteration. `recurse` renders the loop for the items of an item. */
export function loopVariables(
  items: readonly Value[],
  depth: number,
  budget: Budget,
  recurse: ((given: CallArguments) => Value) | undefined,
): (index: number) => Callable {
  let last: readonly Value[] | undefined;
  const changed = new Callable('loop.changed', ({ positional }) => {
    const isSame = last !== undefined && isEqual(new Tuple(last), new Tuple(positional), budget);
    last = positional;
    return !isSame;
  });
  const outside = (name: string) => new Undefined(`there is no ${name}`);
  return (index) => {
    const attribute = (name: string): Value | undefined => {
      switch (name) {
        case 'index':
          return BigInt(index + 1);
        case 'index0':
          return BigInt(index);
        case 'revindex':
          return BigInt(items.length - index);
        case 'revindex0':
          return BigInt(items.length - index - 1);
        case 'first':
          return index === 0;
        case 'last':
          return index === items.length - 1;
        case 'length':
          return BigInt(items.length);
        case 'depth':
          return BigInt(depth + 1);
        case 'depth0':
          return BigInt(depth);
        case 'previtem':
          return index === 0 ? outside('previous item') : items[index - 1];
        case 'nextitem':
          return index === items.length - 1 ? outside('next item') : items[index + 1];
        case 'changed':
          return changed;
        case 'cycle':
          return new Callable('loop.cycle', ({ positional }) => positional[index % positional.length] ?? null);
      }
      return undefined;
    };
    const call = (given: CallArguments): Value => {
      if (recurse) return recurse(given);
      throw unsupported('a call of `loop` in a loop that is not recursive');
    };
    return new Callable('loop', call, attribute);
  };
}
