import type { Budget } from './budget.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { Dict, Range, Safe, Tuple, typeName, Undefined, type Value, View } from './values.ts';

/** Python does not print integers with more digits. */
const mostDigits = 4300;
/** Limits the recursion over nested lists. */
const deepest = 200;

/** What `{{ value }}` prints: Python's `str()`. */
export function textOf(value: Value, budget: Budget): string {
  if (typeof value === 'string') return value;
  if (value instanceof Safe) return value.text;
  if (!(value instanceof Undefined)) return reprOf(value, budget);
  if (budget.isStrict) throw value.fault();
  return '';
}

/** Python's `repr()`, which is also used to print values inside of lists. */
export function reprOf(value: Value, budget: Budget, depth = 0): string {
  budget.spend(1);
  if (depth > deepest) throw new TemplateFault(`prints a list more than ${deepest} deep`);
  const list = (items: readonly Value[]) => items.map((item) => reprOf(item, budget, depth + 1)).join(', ');
  switch (typeof value) {
    case 'boolean':
      return value ? 'True' : 'False';
    case 'bigint':
      return intText(value);
    case 'number':
      return floatText(value);
    case 'string':
      budget.makeText(value.length);
      return stringRepr(value);
  }
  if (value === null) return 'None';
  if (Array.isArray(value)) return `[${list(value)}]`;
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Tuple) return value.items.length === 1 ? `(${list(value.items)},)` : `(${list(value.items)})`;
  if (value instanceof View) return `${value.kind}([${list(value.items)}])`;
  if (value instanceof Safe) return `Markup(${stringRepr(value.text)})`;
  if (value instanceof Dict) {
    const entries = value
      .entries()
      .map(([key, item]) => `${reprOf(key, budget, depth + 1)}: ${reprOf(item, budget, depth + 1)}`);
    return `{${entries.join(', ')}}`;
  }
  if (value instanceof Range) {
    const { start, stop, step } = value;
    return step === 1n ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`;
  }
  throw unsupported(`printing a ${typeName(value)}`);
}

export function intText(value: bigint): string {
  const text = String(value);
  if (text.length > mostDigits) throw new TemplateFault(`prints a number of more than ${mostDigits} digits`);
  return text;
}

/** Python's `repr()` of a float: the shortest digits that round-trip, with an exponent from 1e16 and below 1e-4. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  const text = String(value);
  return text.includes('.') ? text : `${text}.0`;
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\\', '\\\\'],
]);

function stringRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = text.replace(/[\\'"\p{C}\p{Z}]/gu, (character) => {
    if (character === ' ' || (character !== quote && (character === "'" || character === '"'))) return character;
    if (character === quote) return `\\${quote}`;
    return escapes.get(character) ?? codeEscape(character.codePointAt(0)!);
  });
  return quote + inside + quote;
}

function codeEscape(code: number): string {
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}
