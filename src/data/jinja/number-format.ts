import { TemplateFault, unsupported } from './fault.ts';
import { floatText, intText } from './text-of.ts';

export interface NumberFormat {
  /** One of Python's format types: d, x, X, o, b, e, E, f, F, g, G or %. */
  type: string;
  precision: number | undefined;
  /** What positive numbers begin with. */
  sign: '' | '+' | ' ';
  /** Whether to write prefixes such as 0x. */
  alternate?: boolean;
  /** Separator between groups of three digits. */
  grouping?: string | undefined;
}

const mostPrecise = 100;
const radices: Readonly<Record<string, number>> = { x: 16, X: 16, o: 8, b: 2 };

/** The sign with any prefix, and the digits. Padding to a width can be inserted between the two. */
export function numberParts(value: bigint | number, format: NumberFormat): { sign: string; digits: string } {
  const { type, precision = 6, alternate = false, grouping } = format;
  const isNegative = value < 0 || Object.is(value, -0);
  let sign = isNegative ? '-' : format.sign;
  if (precision > mostPrecise) throw unsupported(`a precision above ${mostPrecise}`);
  let digits: string;
  if (type in radices || type === 'd') {
    if (typeof value !== 'bigint') throw new TemplateFault(`the format ${type} needs a whole number`);
    const size = value < 0n ? -value : value;
    digits = type === 'd' ? intText(size) : size.toString(radices[type]);
    if (alternate && type !== 'd') sign += `0${type}`;
  } else digits = floatDigits(Math.abs(Number(value)), type, precision, alternate);
  if (grouping) digits = digits.replace(/^\d+/, (whole) => whole.replace(/\B(?=(?:\d{3})+$)/g, grouping));
  const isUpper = type === 'X' || type === 'E' || type === 'F' || type === 'G';
  return { sign, digits: isUpper ? digits.toUpperCase() : digits };
}

function floatDigits(size: number, type: string, precision: number, alternate: boolean): string {
  if (!Number.isFinite(size)) return floatText(size) + (type === '%' ? '%' : '');
  switch (type.toLowerCase()) {
    case 'f':
      return fixed(size, precision);
    case '%':
      return `${fixed(size * 100, precision)}%`;
    case 'e':
      return exponent(scientificOf(size, precision));
  }
  if (alternate) throw unsupported('the format #g');
  const significant = Math.max(1, precision);
  const scientific = scientificOf(size, significant - 1);
  const power = size === 0 ? 0 : Number(scientific.slice(scientific.indexOf('e') + 1));
  const trimmed = (text: string) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (power >= -4 && power < significant) return trimmed(fixed(size, significant - 1 - power));
  const [mantissa, exponentPart] = scientific.split('e') as [string, string];
  return exponent(`${trimmed(mantissa)}e${exponentPart}`);
}

/** A number with a fixed number of decimals; rounds half to even, from the exact value. */
export function fixed(size: number, precision: number): string {
  if (size >= 1e21) return BigInt(size) + (precision > 0 ? `.${'0'.repeat(precision)}` : '');
  const exact = size.toFixed(mostPrecise);
  const cut = exact.length - mostPrecise + precision;
  const isTie = /^50*$/.test(exact.slice(cut));
  const isEven = /[02468]\.?$/.test(exact.slice(0, cut));
  return isTie && isEven ? exact.slice(0, precision === 0 ? cut - 1 : cut) : size.toFixed(precision);
}

/** Scientific notation: one digit, `precision` decimals and the power of ten; rounds half to even. */
function scientificOf(size: number, precision: number): string {
  const [exact = '', power] = size.toExponential(mostPrecise).split('e');
  const cut = 2 + precision;
  const isTie = /^50*$/.test(exact.slice(cut));
  const isEven = /[02468]\.?$/.test(exact.slice(0, cut));
  return isTie && isEven ? `${exact.slice(0, precision === 0 ? 1 : cut)}e${power}` : size.toExponential(precision);
}

/** Pads the exponent to at least two digits. */
const exponent = (text: string): string => text.replace(/e([+-])(\d)$/, 'e$10$2');
