/** A number in a text, as an exact fraction: as a double, 12345678901234567890 would equal its neighbours. */
export interface WrittenNumber extends Fraction {
  isPercentage: boolean;
}

interface Fraction {
  numerator: bigint;
  /** Not 0. */
  denominator: bigint;
}

/**
 * The last number of a text; of a text with `\boxed{…}`, the last one in the last box. In the grammar
 *
 *     number    = [sign] [currency] value [["\"] "%"]
 *     value     = decimal "e" [sign] digits | decimal times "10^" exponent | decimal "^" exponent
 *               | digits " " digits "/" digits | decimal "/" decimal | decimal
 *     decimal   = digits ["." digits] | "." digits
 *     digits    = a run of 0 to 9, or groups of three between equal separators: 1,234,567
 *     separator = "," | "'" | "_" | a thin or no-break space
 *     times     = "×" | "·" | "*" | "x" | "\times" | "\cdot"
 *     exponent  = [sign] digits, in braces or raised (10⁻³)
 *     sign      = "-" | "+" | "−" and other dashes
 *
 * - a dash after a digit, a letter or a closing bracket is no sign: `5-10`, `COVID-19`
 * - commas that do not all stand between groups of three separate: `(1,2,3)`; so does a comma with a space: `1, 003`
 * - the decimal mark is a point; several points are none: version `3.2.1`
 * - `\frac{3}{4}` and `¾` are 3/4; three parts are a date: `3/4/2025` ends with 2025
 * - an exponent of anything but a number is no number: the last one of `25 m^2` is 25
 *
 * Undefined where there is none, or the last one has more digits than are compared or 0 as its denominator.
 */
export function lastNumber(text: string): WrittenNumber | undefined {
  const plain = withoutGroups(withPlainSigns(lastBox(text) ?? text));
  let last: RegExpMatchArray | undefined;
  for (const match of plain.matchAll(numberPattern)) if (!match.groups!.raised) last = match;
  return last && signedValue(last.groups!);
}

/** Whether two numbers are equal; a percentage equals the number before its sign as well as a hundredth of it. */
export function isSameNumber(a: WrittenNumber, b: WrittenNumber): boolean {
  return isEqual(a, b) || (a.isPercentage !== b.isPercentage && isEqual(asShare(a), asShare(b)));
}

const isEqual = (a: Fraction, b: Fraction): boolean => a.numerator * b.denominator === b.numerator * a.denominator;

const asShare = ({ numerator, denominator, isPercentage }: WrittenNumber): Fraction =>
  isPercentage ? { numerator, denominator: 100n * denominator } : { numerator, denominator };

/** What the last `\boxed{…}` holds. */
function lastBox(text: string): string | undefined {
  const opening = '\\boxed{';
  const start = text.lastIndexOf(opening);
  if (start < 0) return undefined;
  let depth = 1;
  for (let end = start + opening.length; end < text.length; end++) {
    if (text[end] === '{') depth++;
    else if (text[end] === '}' && --depth === 0) return text.slice(start + opening.length, end);
  }
  return text.slice(start + opening.length);
}

const raisedDigits = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** One spelling for each sign, digit, fraction and separator. */
function withPlainSigns(text: string): string {
  return text
    .replace(/[\uff01-\uff5e]/g, (wide) => wide.normalize('NFKC'))
    .replace(/[\u2010-\u2013\u2212\ufe63]/g, '-')
    .replace(/\\!/g, '')
    .replace(/\{,\}/g, ',')
    .replace(/(?<=\d)\\[,; ](?=\d)/g, '\u2009')
    .replace(/\\(?=[%$])/g, '')
    .replace(/(\d?) ?\\[dt]?frac ?(?:\{ ?([-+\d.,]+) ?\} ?\{ ?([\d.,]+) ?\}|(\d)(\d))/g, latexFraction)
    .replace(/(?<!\d)\d+(?:\.\d+){2,}/g, (version) => version.replaceAll('.', ' . '))
    .replace(/(\d?)([¼-¾⅐-⅞↉])/g, (_, before: string, sign: string) => {
      return `${before}${before && ' '}${sign.normalize('NFKC').replace('⁄', '/')}`;
    })
    .replace(new RegExp(`(?<=\\d)([⁺⁻]?)([${raisedDigits}]+)`, 'g'), (_, sign: string, digits: string) => {
      const plain = Array.from(digits, (digit) => raisedDigits.indexOf(digit)).join('');
      return `^${sign === '⁻' ? '-' : ''}${plain}`;
    });
}

function latexFraction(_: string, before: string, over?: string, under?: string, digitOver?: string, digit?: string) {
  return `${before}${before && ' '}${over ?? digitOver}/${under ?? digit}`;
}

/** Takes separators out of groups of three. */
function withoutGroups(text: string): string {
  const grouped = /(?<!\d\.|\d|\d[,'’_\u00a0\u2009\u202f])\d{1,3}([,'’_\u00a0\u2009\u202f])\d{3}(?:\1\d{3})*(?!\1?\d)/g;
  return text.replace(grouped, (group) => group.replace(/\D/g, ''));
}

const decimal = String.raw`(?:\d+(?:\.\d+)?|(?<![\p{L}\d.)\]}])\.\d+)`;
const exponent = (name: string) => String.raw` ?\^ ?(?:\{ ?(?<${name}Braced>[-+]?\d+) ?\}|(?<${name}>[-+]?\d+))`;

const numberPattern = new RegExp(
  [
    String.raw`(?:(?<![\p{L}\d)\]}-])(?<sign>[-+]))?\p{Sc}?(?:`,
    [
      String.raw`(?<mantissa>${decimal})[eE](?<e>[-+]?\d+)(?![\p{L}\d])`,
      String.raw`(?<factor>${decimal})\s?(?:[×·*x]|\\times|\\cdot)\s?10${exponent('ten')}`,
      `(?<base>${decimal})${exponent('power')}`,
      String.raw`(?<![/\d])(?:(?<whole>\d+)\x20)?(?<over>${decimal})\/(?<under>${decimal})(?!\/?\d|\.\d)`,
      `(?<plain>${decimal})`,
    ].join('|'),
    String.raw`)(?<percent>\s?%)?|(?<raised>\^ ?\{? ?[-+]?\d+)`,
  ].join(''),
  'gu',
);

/** Digits that are compared, at most; as many as Python reads into an integer. */
const mostDigits = 4300;

type Groups = Readonly<Record<string, string | undefined>>;

function signedValue(groups: Groups): WrittenNumber | undefined {
  const value = unsignedValue(groups);
  if (value === undefined || value.denominator === 0n) return undefined;
  const numerator = groups.sign === '-' ? -value.numerator : value.numerator;
  return { numerator, denominator: value.denominator, isPercentage: groups.percent !== undefined };
}

function unsignedValue(groups: Groups): Fraction | undefined {
  const { mantissa, e, factor, base, whole, over, under, plain } = groups;
  if (mantissa !== undefined) return timesTenTo(mantissa, e!);
  if (factor !== undefined) return timesTenTo(factor, (groups.ten ?? groups.tenBraced)!);
  if (base !== undefined) return power(base, (groups.power ?? groups.powerBraced)!);
  if (plain !== undefined) return timesTenTo(plain, '0');
  const [a, b] = [timesTenTo(over!, '0'), timesTenTo(under!, '0')];
  if (!a || !b) return undefined;
  const numerator = a.numerator * b.denominator;
  const denominator = a.denominator * b.numerator;
  const wholes = whole === undefined ? { numerator: 0n } : timesTenTo(whole, '0');
  return wholes && { numerator: wholes.numerator * denominator + numerator, denominator };
}

function timesTenTo(decimal: string, exponent: string): Fraction | undefined {
  const [whole, decimals = ''] = decimal.split('.') as [string, string?];
  const shift = Number(exponent) - decimals.length;
  if (whole.length + decimals.length + Math.abs(shift) > mostDigits) return undefined;
  const digits = BigInt(whole + decimals);
  const scale = 10n ** BigInt(Math.abs(shift));
  return shift < 0 ? { numerator: digits, denominator: scale } : { numerator: digits * scale, denominator: 1n };
}

function power(base: string, exponent: string): Fraction | undefined {
  const times = Math.abs(Number(exponent));
  const value = base.length * times > mostDigits ? undefined : timesTenTo(base, '0');
  if (!value) return undefined;
  const [numerator, denominator] = [value.numerator ** BigInt(times), value.denominator ** BigInt(times)];
  return exponent.startsWith('-') ? { numerator: denominator, denominator: numerator } : { numerator, denominator };
}
