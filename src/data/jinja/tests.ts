import type { Budget } from './budget.ts';
import { bind } from './call-arguments.ts';
import { isCased } from './character-tests.ts';
import { compare, isEqual, isIn } from './compare.ts';
import { unsupported } from './fault.ts';
import { binary } from './operators.ts';
import { textOf } from './text-of.ts';
import {
  type CallArguments,
  Callable,
  Dict,
  Generator,
  isTrue,
  Range,
  Safe,
  Tuple,
  Undefined,
  type Value,
  View,
} from './values.ts';

type Test = (value: Value, given: CallArguments, budget: Budget) => boolean;

const plain =
  (is: (value: Value, budget: Budget) => boolean): Test =>
  (value, given, budget) => {
    bind('the test', given, []);
    return is(value, budget);
  };
const withOther =
  (is: (value: Value, other: Value, budget: Budget) => boolean): Test =>
  (value, given, budget) =>
    is(value, bind('the test', given, ['other'], 1)[0]!, budget);
const ordering = (operator: '<' | '<=' | '>' | '>='): Test =>
  withOther((value, other, budget) => compare(operator, value, other, budget));
const isWhole = (value: Value): boolean => typeof value === 'bigint';
const isText = (value: Value): boolean => typeof value === 'string' || value instanceof Safe;
const remainder = (value: Value, by: Value, budget: Budget): boolean => !isTrue(binary('%', value, by, budget));
const isSequence = (value: Value): boolean =>
  isText(value) ||
  Array.isArray(value) ||
  value instanceof Tuple ||
  value instanceof Dict ||
  value instanceof Range ||
  value instanceof Undefined;

const equal = withOther(isEqual);
const unequal = withOther((value, other, budget) => !isEqual(value, other, budget));
/** The tests of jinja2 by name. */
const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['odd', (value, _given, budget) => isEqual(binary('%', value, 2n, budget), 1n, budget)],
  ['even', (value, _given, budget) => remainder(value, 2n, budget)],
  ['divisibleby', withOther(remainder)],
  ['defined', plain((value) => !(value instanceof Undefined))],
  ['undefined', plain((value) => value instanceof Undefined)],
  ['none', plain((value) => value === null)],
  ['boolean', plain((value) => typeof value === 'boolean')],
  ['false', plain((value) => value === false)],
  ['true', plain((value) => value === true)],
  ['integer', plain(isWhole)],
  ['float', plain((value) => typeof value === 'number')],
  ['number', plain((value) => isWhole(value) || typeof value === 'number' || typeof value === 'boolean')],
  ['string', plain(isText)],
  ['mapping', plain((value) => value instanceof Dict)],
  ['sequence', plain(isSequence)],
  ['iterable', plain((value) => isSequence(value) || value instanceof View || value instanceof Generator)],
  ['callable', plain((value) => value instanceof Callable || value instanceof Undefined)],
  ['escaped', plain((value) => value instanceof Safe)],
  ['lower', plain((value, budget) => isCased(textOf(value, budget), 'toLowerCase'))],
  ['upper', plain((value, budget) => isCased(textOf(value, budget), 'toUpperCase'))],
  ['sameas', withOther(isSame)],
  ['in', withOther(isIn)],
  ...['==', 'eq', 'equalto'].map((name): [string, Test] => [name, equal]),
  ...['!=', 'ne'].map((name): [string, Test] => [name, unequal]),
  ...['>', 'gt', 'greaterthan'].map((name): [string, Test] => [name, ordering('>')]),
  ...['>=', 'ge'].map((name): [string, Test] => [name, ordering('>=')]),
  ...['<', 'lt', 'lessthan'].map((name): [string, Test] => [name, ordering('<')]),
  ...['<=', 'le'].map((name): [string, Test] => [name, ordering('<=')]),
]);

export const testNames: ReadonlySet<string> = new Set(tests.keys());

/** `value is name(…)` */
export function applyTest(name: string, value: Value, given: CallArguments, budget: Budget): boolean {
  const test = tests.get(name);
  if (!test) throw unsupported(`the test ${JSON.stringify(name)}`);
  budget.read(typeof value === 'string' ? value.length : 0);
  return test(value, given, budget);
}

/** Python's `is`, for values for which its result does not depend on the implementation. */
function isSame(value: Value, other: Value): boolean {
  const isSingle = (one: Value) => one === null || typeof one === 'boolean' || typeof one === 'object';
  if (isSingle(value) || isSingle(other)) return value === other;
  throw unsupported('the test "sameas" of numbers and texts');
}
