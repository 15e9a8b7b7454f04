import { bind, wholeArgument } from './call-arguments.ts';
import { TemplateFault, unsupported } from './fault.ts';
import type { Filter } from './filter.ts';
import { fixed } from './number-format.ts';
import { Safe, typeName, Undefined, type Value } from './values.ts';

const numberPattern = /^[+-]?(?:(?:\d+(?:_\d+)*)?\.?\d+(?:_\d+)*|\d+(?:_\d+)*\.)(?:e[+-]?\d+(?:_\d+)*)?$/i;
const special: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['infinity', Number.POSITIVE_INFINITY],
  ['nan', Number.NaN],
]);

/** Python's `float()`; undefined if it would raise. */
function floatOf(value: Value): number | undefined {
  if (value instanceof Undefined) throw value.fault();
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string' && !(value instanceof Safe)) return undefined;
  const text = (value instanceof Safe ? value.text : value).trim();
  if (numberPattern.test(text)) return Number(text.replaceAll('_', ''));
  const found = special.get(text.toLowerCase().replace(/^[+-]/, ''));
  return found === undefined ? undefined : text.startsWith('-') ? -found : found;
}

function intOf(value: Value, base: number): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return BigInt(value);
  const text = (value instanceof Safe ? value.text : typeof value === 'string' ? value : '').trim();
  if (base !== 10 && text !== '') throw unsupported('a base of the filter "int"');
  if (text.length > 4300) throw new TemplateFault('int is given more than 4300 digits');
  if (/^[+-]?\d+(_\d+)*$/.test(text)) return BigInt(text.replaceAll('_', '').replace(/^\+/, ''));
  const float = floatOf(value);
  if (typeof value === 'number' && (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY)) {
    throw new TemplateFault('infinity is not a whole number');
  }
  return float === undefined || !Number.isFinite(float) ? undefined : BigInt(Math.trunc(float));
}

function rounded(value: number, precision: number): number {
  if (!Number.isFinite(value)) return value;
  const size = Number(fixed(Math.abs(value), precision));
  return value < 0 || Object.is(value, -0) ? -size : size;
}

const abs: Filter = (value) => {
  if (value instanceof Undefined) throw value.fault();
  if (typeof value === 'boolean') return BigInt(value);
  if (typeof value === 'bigint') return value < 0n ? -value : value;
  if (typeof value === 'number') return Math.abs(value);
  throw new TemplateFault(`abs needs a number and not a ${typeName(value)}`);
};

const round: Filter = (value, given) => {
  const [digits = 0n, method = 'common'] = bind('round', given, ['precision', 'method']);
  const precision = wholeArgument(digits, 'round');
  if (precision < 0 || precision > 20) throw unsupported(`the precision ${precision} of the filter "round"`);
  if (value instanceof Undefined) throw value.fault();
  const number = typeof value === 'boolean' ? BigInt(value) : value;
  if (typeof number !== 'bigint' && typeof number !== 'number') {
    throw new TemplateFault(`round needs a number and not a ${typeName(value)}`);
  }
  if (method === 'common') return typeof number === 'bigint' ? number : rounded(number, precision);
  if (method !== 'ceil' && method !== 'floor') throw new TemplateFault('round has the methods common, ceil and floor');
  return Math[method](Number(number) * 10 ** precision) / 10 ** precision;
};

export const numberFilters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['abs', abs],
  [
    'float',
    (value, given) => {
      const [otherwise = 0] = bind('float', given, ['default']);
      return floatOf(value) ?? otherwise;
    },
  ],
  [
    'int',
    (value, given) => {
      const [otherwise = 0n, base = 10n] = bind('int', given, ['default', 'base']);
      return intOf(value, wholeArgument(base, 'int')) ?? otherwise;
    },
  ],
  ['round', round],
]);
