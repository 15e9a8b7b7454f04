import type { Budget } from './budget.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { numberParts } from './number-format.ts';
import { reprOf, textOf } from './text-of.ts';
import { Dict, lengthOfText, Range, Tuple, typeName, Undefined, type Value, wideCharacters } from './values.ts';

/**
 * Python's `text % values`: the items of a tuple fill the conversions in order, a dict those with a name, any other
 * value a single one.
 */
export function formatPercent(text: string, values: Value, budget: Budget): string {
  const queue = values instanceof Tuple ? [...values.items] : [values];
  let isNamed = false;
  const next = (): Value => {
    const value = queue.shift();
    if (value === undefined) throw new TemplateFault('a text has more conversions with % than there are values');
    return value;
  };
  const result = text.replace(
    /%(?:\(([^()]*)\))?([-+ 0#]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?(.?)/gsu,
    (_, key, flags, width, precision, type) => {
      if (type === '%') return '%';
      if (key !== undefined) isNamed = true;
      const named = (): Value => {
        const value = values instanceof Dict ? values.get(key) : undefined;
        if (value === undefined)
          throw new TemplateFault(`a text needs the value ${JSON.stringify(key)}, which is not given`);
        return value;
      };
      const size = width === '*' ? Number(next()) : Number(width || 0);
      const digits = precision === undefined ? undefined : precision === '*' ? Number(next()) : Number(precision || 0);
      budget.makeText(Math.abs(size));
      return converted(type, key === undefined ? next() : named(), flags, size, digits, budget);
    },
  );
  const isContainer =
    values instanceof Dict || Array.isArray(values) || values instanceof Range || values instanceof Undefined;
  if (queue.length > 0 && !isNamed && !isContainer) {
    throw new TemplateFault('a text has fewer conversions with % than there are values');
  }
  budget.makeText(result.length);
  return result;
}

function converted(
  type: string,
  value: Value,
  flags: string,
  width: number,
  precision: number | undefined,
  budget: Budget,
): string {
  if (flags.includes('#')) throw unsupported('the flag # of %');
  const isLeft = flags.includes('-');
  const fill = (text: string) => (isLeft ? text.padEnd(unitsOf(text, width)) : text.padStart(unitsOf(text, width)));
  switch (type) {
    case 's':
    case 'r': {
      const text = type === 's' ? textOf(value, budget) : reprOf(value, budget);
      return fill(
        precision === undefined
          ? text
          : (wideCharacters(text)?.slice(0, precision).join('') ?? text.slice(0, precision)),
      );
    }
    case 'c':
      throw unsupported('the conversion %c');
    case '':
      throw new TemplateFault('a text ends within a conversion with %');
  }
  if (!/^[diuxXoeEfFgG]$/.test(type)) throw new TemplateFault(`%${type} is not a conversion`);
  if (value instanceof Undefined) throw value.fault();
  const number = typeof value === 'boolean' ? BigInt(value) : value;
  if (typeof number !== 'bigint' && typeof number !== 'number') {
    throw new TemplateFault(`%${type} needs a number and not a ${typeName(value)}`);
  }
  const sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const isWhole = /[diu]/.test(type);
  if (/[diuxXo]/.test(type) && precision !== undefined) throw unsupported(`a precision of %${type}`);
  const whole = isWhole && typeof number === 'number' ? truncated(number) : number;
  const parts = numberParts(whole, { type: isWhole ? 'd' : type, precision, sign });
  if (!flags.includes('0') || isLeft) return fill(parts.sign + parts.digits);
  return parts.sign + parts.digits.padStart(width - parts.sign.length, '0');
}

function truncated(value: number): bigint {
  if (!Number.isFinite(value)) throw new TemplateFault('%d needs a finite number');
  return BigInt(Math.trunc(value));
}

/** Converts a width in characters to UTF-16 units. */
const unitsOf = (text: string, width: number): number => width + text.length - lengthOfText(text);
