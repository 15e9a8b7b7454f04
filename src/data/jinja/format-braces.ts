import { attributeOf, itemOf } from './attributes.ts';
import type { Budget } from './budget.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { type NumberFormat, numberParts } from './number-format.ts';
import { floatText, reprOf, textOf } from './text-of.ts';
import { type CallArguments, lengthOfText, typeName, Undefined, type Value, wideCharacters } from './values.ts';

/** Python's `str.format()`: `{}`, `{0}`, `{name.part[key]!r:>8.3f}`. */
export function formatBraces(text: string, given: CallArguments, budget: Budget): string {
  let next = 0;
  const result = text.replace(
    /\{\{|\}\}|\{([^{}!:[]*(?:\[[^\]]*\][^{}!:[]*)*)(?:!([^:{}]*))?(?::([^{}]*))?\}|[{}]/gsu,
    (whole, path, conversion, spec = '') => {
      if (whole === '{{' || whole === '}}') return whole[0]!;
      if (path === undefined) throw unsupported(`the field at ${JSON.stringify(whole)} in .format()`);
      const [, name = '', rest = ''] = /^([^.[]*)(.*)$/s.exec(path)!;
      const value = reached(argumentAt(name === '' ? String(next++) : name, given), rest, budget);
      if (value instanceof Undefined) throw value.fault();
      const shown =
        conversion === undefined
          ? value
          : conversion === 's'
            ? textOf(value, budget)
            : conversion === 'r'
              ? reprOf(value, budget)
              : undefined;
      if (shown === undefined) throw unsupported(`the conversion !${conversion} in .format()`);
      return formatted(shown, spec, budget);
    },
  );
  budget.makeText(result.length);
  return result;
}

function argumentAt(name: string, { positional, named }: CallArguments): Value {
  const value = /^\d+$/.test(name) ? positional[Number(name)] : named.get(name);
  if (value === undefined) throw new TemplateFault(`.format() is not given the value ${JSON.stringify(name)}`);
  return value;
}

function reached(start: Value, path: string, budget: Budget): Value {
  let value = start;
  for (const [part, attribute, key] of path.matchAll(/\.([^.[]+)|\[([^\]]+)\]|./gs)) {
    if (attribute !== undefined) value = attributeOf(value, attribute, budget);
    else if (key !== undefined) value = itemOf(value, /^\d+$/.test(key) ? BigInt(key) : key, budget);
    else throw new TemplateFault(`.format() does not understand ${JSON.stringify(part)}`);
  }
  return value;
}

/** Formats a value by Python's format specification: [[fill]align][sign][#][0][width][grouping][.precision][type]. */
function formatted(value: Value, spec: string, budget: Budget): string {
  if (spec === '') return textOf(value, budget);
  const found = /^(?:(.)?([<>=^]))?([-+ ]?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([a-zA-Z%]?)$/su.exec(spec);
  if (!found) throw unsupported(`the format ${JSON.stringify(spec)}`);
  const [, fill, align, sign, alternate, zero, width = '', grouping, precision, type = ''] = found;
  budget.makeText(Number(width));
  const digits = precision === undefined ? undefined : Number(precision);
  const number = typeof value === 'boolean' && type !== '' && type !== 's' ? BigInt(value) : value;
  if (typeof number === 'bigint' || typeof number === 'number') {
    const format = { sign: sign === '-' ? '' : sign, alternate: alternate === '#', grouping } as NumberFormat;
    const parts = partsOf(number, { ...format, type, precision: digits });
    if (zero && grouping) throw unsupported('zeros in front of grouped digits');
    return filled(parts, Number(width), fill ?? (zero ? '0' : ' '), align ?? (zero ? '=' : '>'));
  }
  if (typeof value !== 'string' || (type !== '' && type !== 's') || sign || alternate || grouping || align === '=') {
    throw new TemplateFault(`the format ${JSON.stringify(spec)} does not fit a ${typeName(value)}`);
  }
  const text =
    digits === undefined ? value : (wideCharacters(value)?.slice(0, digits).join('') ?? value.slice(0, digits));
  return filled({ sign: '', digits: text }, Number(width), fill ?? (zero ? '0' : ' '), align ?? '<');
}

function partsOf(number: bigint | number, format: NumberFormat): { sign: string; digits: string } {
  if (format.type !== '') return numberParts(number, format);
  if (typeof number === 'bigint') return numberParts(number, { ...format, type: 'd' });
  if (format.precision !== undefined || format.grouping) throw unsupported('a precision without a type in .format()');
  const digits = floatText(Math.abs(number));
  return { sign: number < 0 || Object.is(number, -0) ? '-' : format.sign, digits };
}

function filled(
  { sign, digits }: { sign: string; digits: string },
  width: number,
  fill: string,
  align: string,
): string {
  const missing = Math.max(0, width - sign.length - lengthOfText(digits));
  const left = align === '<' || align === '=' ? 0 : align === '>' ? missing : Math.floor(missing / 2);
  const between = align === '=' ? missing : 0;
  return fill.repeat(left) + sign + fill.repeat(between) + digits + fill.repeat(missing - left - between);
}
