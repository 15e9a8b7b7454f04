import type { CompareOperator } from './ast.ts';
import type { Budget } from './budget.ts';
import { TemplateFault } from './fault.ts';
import {
  Callable,
  Dict,
  Generator,
  itemsOf,
  Namespace,
  Range,
  Safe,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

/** Limits the recursion over nested lists. */
const deepest = 200;

/** A number's or boolean's value; bigint and number compare exactly in JavaScript as well. */
const numeric = (value: Value): bigint | number | undefined =>
  typeof value === 'boolean'
    ? BigInt(value)
    : typeof value === 'bigint' || typeof value === 'number'
      ? value
      : undefined;

const unmarked = (value: Value): Value => (value instanceof Safe ? value.text : value);

/** Python's `==`. */
export function isEqual(a: Value, b: Value, budget: Budget, depth = 0): boolean {
  budget.read(typeof a === 'string' ? a.length : 0);
  if (depth > deepest) throw new TemplateFault(`compares lists more than ${deepest} deep`);
  const [x, y] = [unmarked(a), unmarked(b)];
  const [left, right] = [numeric(x), numeric(y)];
  if (left !== undefined && right !== undefined) return left <= right && left >= right;
  if (x === y) return true;
  if (x === null || y === null || typeof x !== 'object' || typeof y !== 'object') return false;
  if (x instanceof Undefined) return y instanceof Undefined;
  if (x instanceof Range && y instanceof Range) return areEqual(x.items(), y.items(), budget, depth);
  if (x instanceof Dict && y instanceof Dict) {
    return x.size === y.size && x.entries().every(([key, value]) => equalsIn(y, key, value, budget, depth));
  }
  if (Array.isArray(x) && Array.isArray(y)) return areEqual(x, y, budget, depth);
  return x instanceof Tuple && y instanceof Tuple && areEqual(x.items, y.items, budget, depth);
}

function equalsIn(dict: Dict, key: Value, value: Value, budget: Budget, depth: number): boolean {
  const other = dict.get(key);
  return other !== undefined && isEqual(value, other, budget, depth + 1);
}

const areEqual = (a: readonly Value[], b: readonly Value[], budget: Budget, depth: number): boolean =>
  a.length === b.length && a.every((item, i) => isEqual(item, b[i]!, budget, depth + 1));

/** Negative, 0 or positive, like a comparison in Python. @throws TemplateFault for values that Python cannot order */
export function order(a: Value, b: Value, budget: Budget): number {
  budget.read(typeof a === 'string' ? a.length : 0);
  const [x, y] = [unmarked(a), unmarked(b)];
  if (x instanceof Undefined || y instanceof Undefined) throw (x instanceof Undefined ? x : (y as Undefined)).fault();
  const [left, right] = [numeric(x), numeric(y)];
  if (left !== undefined && right !== undefined) return left < right ? -1 : left > right ? 1 : 0;
  if (typeof x === 'string' && typeof y === 'string') return orderOfTexts(x, y);
  const [these, those] = [sequence(x), sequence(y)];
  if (!these || !those || typeName(x) !== typeName(y)) {
    throw new TemplateFault(`${typeName(x)} and ${typeName(y)} have no order`);
  }
  for (const [i, item] of these.entries()) {
    if (i >= those.length) return 1;
    if (!isEqual(item, those[i]!, budget)) return order(item, those[i]!, budget);
  }
  return these.length - those.length;
}

const sequence = (value: Value): readonly Value[] | undefined =>
  Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;

/** Compares by code points; JavaScript's `<` compares UTF-16 units. */
function orderOfTexts(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  if (at > 0 && /[\udc00-\udfff]/.test(a[at] ?? b[at] ?? '')) at--;
  return (a.codePointAt(at) ?? -1) - (b.codePointAt(at) ?? -1);
}

/** Python's `in`. */
export function isIn(item: Value, container: Value, budget: Budget): boolean {
  const [inner, outer] = [unmarked(item), unmarked(container)];
  if (typeof outer === 'string') {
    if (inner instanceof Undefined) throw inner.fault();
    if (typeof inner !== 'string') throw new TemplateFault(`a ${typeName(inner)} cannot be part of a str`);
    budget.read(outer.length);
    return outer.includes(inner);
  }
  if (outer instanceof Dict) return outer.get(inner) !== undefined;
  if (outer instanceof Callable || outer instanceof Namespace)
    throw new TemplateFault(`nothing can be in a ${typeName(outer)}`);
  if (outer instanceof Generator) {
    for (let next = outer.next(); next !== undefined; next = outer.next())
      if (isEqual(next, inner, budget)) return true;
    return false;
  }
  return itemsOf(outer, budget).some((value) => isEqual(value, inner, budget));
}

export function compare(operator: CompareOperator, a: Value, b: Value, budget: Budget): boolean {
  switch (operator) {
    case '==':
      return isEqual(a, b, budget);
    case '!=':
      return !isEqual(a, b, budget);
    case 'in':
      return isIn(a, b, budget);
    case 'not in':
      return !isIn(a, b, budget);
  }
  if (typeof a === 'number' && Number.isNaN(a)) return false;
  if (typeof b === 'number' && Number.isNaN(b)) return false;
  const found = order(a, b, budget);
  if (operator === '<') return found < 0;
  if (operator === '<=') return found <= 0;
  return operator === '>' ? found > 0 : found >= 0;
}
