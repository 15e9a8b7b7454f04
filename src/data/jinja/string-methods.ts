import { bind, textArgument, wholeArgument } from './call-arguments.ts';
import { characterTests } from './character-tests.ts';
import { TemplateFault } from './fault.ts';
import { formatBraces } from './format-braces.ts';
import type { Method } from './method.ts';
import { trimmedEnd, trimmedStart } from './space.ts';
import { joined, replaced, splitLines, splitText } from './string-parts.ts';
import { capitalized, padded, titled } from './string-shapes.ts';
import { lengthOfText, Tuple, typeName, type Value, wideCharacters } from './values.ts';

/** Python's `str` methods. Positions and lengths count characters, not UTF-16 units. */
export const stringMethods: ReadonlyMap<string, Method<string>> = new Map<string, Method<string>>([
  ...characterTests,
  ['capitalize', (self) => capitalized(self)],
  ['lower', (self) => self.toLowerCase()],
  ['title', (self) => titled(self)],
  ['upper', (self) => self.toUpperCase()],
  ['strip', stripping({ left: true, right: true })],
  ['lstrip', stripping({ left: true, right: false })],
  ['rstrip', stripping({ left: false, right: true })],
  ['center', padding('center')],
  ['ljust', padding('left')],
  ['rjust', padding('right')],
  [
    'zfill',
    (self, given, budget) => {
      const width = wholeArgument(bind('.zfill()', given, ['width'], 1)[0], '.zfill()');
      budget.makeText(width);
      const sign = /^[+-]/.exec(self)?.[0] ?? '';
      return sign + '0'.repeat(Math.max(0, width - lengthOfText(self))) + self.slice(sign.length);
    },
  ],
  ['format', (self, given, budget) => formatBraces(self, given, budget)],
  ['join', (self, given, budget) => joined(self, bind('.join()', given, ['iterable'], 1)[0]!, budget)],
  [
    'replace',
    (self, given, budget) => {
      const [old, fresh, count] = bind('.replace()', given, ['old', 'new', 'count'], 2);
      const most = count === undefined ? -1 : wholeArgument(count, '.replace()');
      return replaced(self, textArgument(old, '.replace()'), textArgument(fresh, '.replace()'), most, budget);
    },
  ],
  ['split', splitting('left')],
  ['rsplit', splitting('right')],
  [
    'splitlines',
    (self, given, budget) => {
      const [keepEnds = false] = bind('.splitlines()', given, ['keepends']);
      return splitLines(self, keepEnds === true, budget);
    },
  ],
  ['partition', partitioning((self, separator) => self.indexOf(separator))],
  ['rpartition', partitioning((self, separator) => self.lastIndexOf(separator), { isLast: true })],
  ['startswith', affixTest('.startswith()', (self, affix) => self.startsWith(affix))],
  ['endswith', affixTest('.endswith()', (self, affix) => self.endsWith(affix))],
  [
    'removeprefix',
    (self, given) => {
      const prefix = textArgument(bind('.removeprefix()', given, ['prefix'], 1)[0], '.removeprefix()');
      return self.startsWith(prefix) ? self.slice(prefix.length) : self;
    },
  ],
  [
    'removesuffix',
    (self, given) => {
      const suffix = textArgument(bind('.removesuffix()', given, ['suffix'], 1)[0], '.removesuffix()');
      return suffix !== '' && self.endsWith(suffix) ? self.slice(0, -suffix.length) : self;
    },
  ],
  ['find', searching('.find()', { isLast: false, mustFind: false })],
  ['rfind', searching('.rfind()', { isLast: true, mustFind: false })],
  ['index', searching('.index()', { isLast: false, mustFind: true })],
  ['rindex', searching('.rindex()', { isLast: true, mustFind: true })],
  [
    'count',
    (self, given) => {
      const { text, wanted } = searched('.count()', self, given);
      if (text === undefined) return 0n;
      return BigInt(wanted === '' ? lengthOfText(text) + 1 : text.split(wanted).length - 1);
    },
  ],
]);

function stripping({ left, right }: { left: boolean; right: boolean }): Method<string> {
  return (self, given) => {
    const [chars = null] = bind('.strip()', given, ['chars']);
    return strip(self, chars, { left, right });
  };
}

/** Removes characters from the ends of a text: those in `chars`, or white space if it is None. */
export function strip(text: string, chars: Value, { left = true, right = true } = {}): string {
  const set = chars === null ? undefined : textArgument(chars, '.strip()');
  if (set !== undefined && wideCharacters(set + text)) return stripWide(text, set, { left, right });
  const isPart = set === undefined ? undefined : (character: string) => set.includes(character);
  const end = right ? trimmedEnd(text, isPart) : text.length;
  return text.slice(left ? trimmedStart(text.slice(0, end), isPart) : 0, end);
}

function stripWide(text: string, set: string, { left, right }: { left: boolean; right: boolean }): string {
  const [characters, parts] = [Array.from(text), new Set(set)];
  let [start, end] = [0, characters.length];
  while (right && end > 0 && parts.has(characters[end - 1]!)) end--;
  while (left && start < end && parts.has(characters[start]!)) start++;
  return characters.slice(start, end).join('');
}

function padding(side: 'left' | 'right' | 'center'): Method<string> {
  return (self, given, budget) => {
    const [width, fill = ' '] = bind(`.${side}()`, given, ['width', 'fillchar'], 1);
    return padded(self, wholeArgument(width, 'padding'), textArgument(fill, 'padding'), side, budget);
  };
}

function splitting(from: 'left' | 'right'): Method<string> {
  return (self, given, budget) => {
    const [separator = null, most] = bind('.split()', given, ['sep', 'maxsplit']);
    const wanted = separator === null ? undefined : textArgument(separator, '.split()');
    return splitText(self, wanted, most === undefined ? -1 : wholeArgument(most, '.split()'), from, budget);
  };
}

function partitioning(find: (self: string, separator: string) => number, { isLast = false } = {}): Method<string> {
  return (self, given) => {
    const separator = textArgument(bind('.partition()', given, ['sep'], 1)[0], '.partition()');
    if (separator === '') throw new TemplateFault('.partition() needs a separator that is not empty');
    const at = find(self, separator);
    if (at < 0) return new Tuple(isLast ? ['', '', self] : [self, '', '']);
    return new Tuple([self.slice(0, at), separator, self.slice(at + separator.length)]);
  };
}

function affixTest(callee: string, test: (self: string, affix: string) => boolean): Method<string> {
  return (self, given) => {
    const [affix, start, end] = bind(callee, given, ['affix', 'start', 'end'], 1);
    const whole = start === undefined && end === undefined;
    const text = whole ? self : part(self, start, end)?.text;
    if (text === undefined) return false;
    if (affix instanceof Tuple) return affix.items.some((item) => test(text, textArgument(item, callee)));
    if (typeof affix !== 'string')
      throw new TemplateFault(`${callee} needs a text or a tuple and not a ${typeName(affix!)}`);
    return test(text, affix);
  };
}

/**
 * The part of a text from `start` to `end`, in characters, and the number of characters before it; undefined if it
 * begins after its end.
 */
function part(
  self: string,
  start: Value | undefined,
  end: Value | undefined,
): { text: string; before: number } | undefined {
  if (start === undefined && end === undefined) return { text: self, before: 0 };
  const characters = wideCharacters(self) ?? self.split('');
  const bound = (at: Value | undefined, otherwise: number): number => {
    const whole = at === undefined || at === null ? otherwise : wholeArgument(at, 'a search');
    return whole < 0 ? Math.max(0, whole + characters.length) : whole;
  };
  const before = bound(start, 0);
  const to = Math.min(bound(end, characters.length), characters.length);
  return before > to ? undefined : { text: characters.slice(before, to).join(''), before };
}

function searched(callee: string, self: string, given: Parameters<Method<string>>[1]) {
  const [wanted, start, end] = bind(callee, given, ['sub', 'start', 'end'], 1);
  return { ...part(self, start, end), wanted: textArgument(wanted, callee) };
}

function searching(callee: string, { isLast, mustFind }: { isLast: boolean; mustFind: boolean }): Method<string> {
  return (self, given) => {
    const { text, before = 0, wanted } = searched(callee, self, given);
    const at = text === undefined ? -1 : isLast ? text.lastIndexOf(wanted) : text.indexOf(wanted);
    if (at >= 0) return BigInt(before + lengthOfText(text!.slice(0, at)));
    if (mustFind) throw new TemplateFault(`${callee} does not find ${JSON.stringify(wanted)}`);
    return -1n;
  };
}
