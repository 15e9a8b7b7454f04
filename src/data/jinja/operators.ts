import type { BinaryOperator } from './ast.ts';
import type { Budget } from './budget.ts';
import { escaped } from './escape.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { formatPercent } from './format-percent.ts';
import { Safe, Tuple, typeName, Undefined, type Value } from './values.ts';

/** Limit on the size of integers in bits. */
const mostBits = 20_000;

/** Python's binary operators on numbers, texts and lists. */
export function binary(operator: BinaryOperator, a: Value, b: Value, budget: Budget): Value {
  if (operator === '%' && (typeof a === 'string' || a instanceof Safe)) {
    if (a instanceof Safe) throw unsupported('% on a text marked as safe');
    return formatPercent(a, b, budget);
  }
  if (a instanceof Undefined) throw a.fault();
  if (b instanceof Undefined) throw b.fault();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return calculate(operator, x, y);
  const joined =
    operator === '+'
      ? add(a, b, budget)
      : operator === '*'
        ? (repeat(a, y, budget) ?? repeat(b, x, budget))
        : undefined;
  if (joined !== undefined) return joined;
  throw new TemplateFault(`${typeName(a)} ${operator} ${typeName(b)} cannot be computed`);
}

export function unary(operator: '-' | '+', operand: Value): Value {
  if (operand instanceof Undefined) throw operand.fault();
  const x = numberOf(operand);
  if (x === undefined) throw new TemplateFault(`${operator} needs a number and not a ${typeName(operand)}`);
  return operator === '-' ? -x : x;
}

const numberOf = (value: Value): bigint | number | undefined =>
  typeof value === 'bigint' || typeof value === 'number'
    ? value
    : typeof value === 'boolean'
      ? BigInt(value)
      : undefined;

function add(a: Value, b: Value, budget: Budget): Value | undefined {
  if (typeof a === 'string' && typeof b === 'string') {
    budget.makeText(a.length + b.length);
    return a + b;
  }
  const isText = (value: Value) => typeof value === 'string' || value instanceof Safe;
  if (isText(a) && isText(b)) {
    const text = escaped(a, budget) + escaped(b, budget);
    budget.makeText(text.length);
    return new Safe(text);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    budget.spend(a.length + b.length);
    return [...a, ...b];
  }
  if (!(a instanceof Tuple && b instanceof Tuple)) return undefined;
  budget.spend(a.items.length + b.items.length);
  return new Tuple([...a.items, ...b.items]);
}

function repeat(value: Value, times: bigint | number | undefined, budget: Budget): Value | undefined {
  if (typeof times !== 'bigint') return undefined;
  const count = times < 0n ? 0 : Number(times);
  if (typeof value === 'string' || value instanceof Safe) {
    const text = typeof value === 'string' ? value : value.text;
    budget.makeText(text.length * count);
    return typeof value === 'string' ? text.repeat(count) : new Safe(text.repeat(count));
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;
  if (!items) return undefined;
  budget.spend(items.length * count);
  const all = Array.from({ length: items.length * count }, (_, i) => items[i % items.length]!);
  return Array.isArray(value) ? all : new Tuple(all);
}

function calculate(operator: BinaryOperator, a: bigint | number, b: bigint | number): Value {
  const isDivision = operator === '/' || operator === '//' || operator === '%';
  if (isDivision && Number(b) === 0) throw new TemplateFault('a division by zero');
  if (typeof a === 'bigint' && typeof b === 'bigint' && operator !== '/' && !(operator === '**' && b < 0n)) {
    return wholeResult(operator, a, b);
  }
  const [x, y] = [Number(a), Number(b)];
  switch (operator) {
    case '+':
      return x + y;
    case '-':
      return x - y;
    case '*':
      return x * y;
    case '/':
      return x / y;
    case '//':
      return floorQuotient(x, y);
    case '%':
      return remainder(x, y);
    case '**':
      throw unsupported('** of numbers that are not whole');
  }
}

/** Has the sign of the divisor, as in Python. */
function remainder(x: number, y: number): number {
  const rest = x % y;
  if (rest === 0) return y < 0 ? -0 : 0;
  return rest < 0 === y < 0 ? rest : rest + y;
}

function floorQuotient(x: number, y: number): number {
  const quotient = (x - remainder(x, y)) / y;
  const floor = Math.floor(quotient);
  if (quotient === 0) return x / y < 0 || Object.is(x / y, -0) ? -0 : 0;
  return quotient - floor > 0.5 ? floor + 1 : floor;
}

function wholeResult(operator: BinaryOperator, a: bigint, b: bigint): bigint {
  const bits = (value: bigint) => value.toString(16).length * 4;
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      checkBits(bits(a) + bits(b));
      return a * b;
    case '**':
      checkBits(a === 0n || a === 1n || a === -1n ? 1 : bits(a) * Number(b));
      return a ** b;
  }
  const remainder = a % b;
  const isOff = remainder !== 0n && remainder < 0n !== b < 0n;
  if (operator === '%') return isOff ? remainder + b : remainder;
  return isOff ? a / b - 1n : a / b;
}

function checkBits(bits: number): void {
  if (bits > mostBits) throw new TemplateFault('makes a number of too many digits');
}
