import type { Budget } from './budget.ts';
import { bind, textArgument, wholeArgument } from './call-arguments.ts';
import { escaped } from './escape.ts';
import { TemplateFault, unsupported } from './fault.ts';
import type { Filter } from './filter.ts';
import { formatPercent } from './format-percent.ts';
import { jsonText } from './json-text.ts';
import { numberFilters } from './number-filters.ts';
import { sequenceFilters } from './sequence-filters.ts';
import { space } from './space.ts';
import { strip } from './string-methods.ts';
import { joined, replaced, splitLines, splitText } from './string-parts.ts';
import { capitalized, padded } from './string-shapes.ts';
import { textOf } from './text-of.ts';
import {
  type CallArguments,
  Dict,
  isTrue,
  lengthOf,
  lengthOfText,
  Safe,
  Tuple,
  Undefined,
  type Value,
  wideCharacters,
} from './values.ts';

/** A filter that turns a text into another; text marked as safe stays marked. */
function shaping(shape: (text: string, given: CallArguments, budget: Budget) => string): Filter {
  return (value, given, budget) => {
    const text = shape(textOf(value, budget), given, budget);
    return value instanceof Safe ? new Safe(text) : text;
  };
}

const fallback: Filter = (value, given) => {
  const [otherwise = '', forFalse = false] = bind('default', given, ['default_value', 'boolean']);
  return value instanceof Undefined || (isTrue(forFalse) && !isTrue(value)) ? otherwise : value;
};
const length: Filter = (value) => BigInt(lengthOf(value));
const escaping: Filter = (value, _given, budget) => new Safe(escaped(value, budget));

const format: Filter = (value, { positional, named }, budget) => {
  if (positional.length > 0 && named.size > 0)
    throw new TemplateFault('format takes values by position or by name, not both');
  if (value instanceof Safe) throw unsupported('the filter "format" on a text marked as safe');
  return formatPercent(textOf(value, budget), named.size > 0 ? new Dict(named) : new Tuple(positional), budget);
};

const replace: Filter = (value, given, budget) => {
  const [old, fresh, count = null] = bind('replace', given, ['old', 'new', 'count'], 2);
  const most = count === null ? -1 : wholeArgument(count, 'replace');
  return replaced(textOf(value, budget), textOf(old!, budget), textOf(fresh!, budget), most, budget);
};

const title: Filter = (value, _given, budget) =>
  textOf(value, budget)
    .split(new RegExp(`([-${space}({[<]+)`))
    .map((part) => {
      const [first = ''] = part;
      return first.toUpperCase() + part.slice(first.length).toLowerCase();
    })
    .join('');

const indent: Filter = (value, given, budget) => {
  const [width = 4n, first = false, blank = false] = bind('indent', given, ['width', 'first', 'blank']);
  const by = typeof width === 'string' ? width : spaces(wholeArgument(width, 'indent'), budget);
  const lines = splitLines(`${textArgument(value, 'indent')}\n`, false, budget);
  budget.makeText(lines.length * by.length);
  const text = lines.map((line, i) => (i > 0 && (isTrue(blank) || line !== '') ? by + line : line)).join('\n');
  const whole = isTrue(first) ? by + text : text;
  return value instanceof Safe ? new Safe(whole) : whole;
};

function spaces(count: number, budget: Budget): string {
  budget.makeText(Math.max(0, count));
  return ' '.repeat(Math.max(0, count));
}

const truncate: Filter = (value, given, budget) => {
  const names = ['length', 'killwords', 'end', 'leeway'];
  const [most = 255n, killWords = false, end = '...', leeway = null] = bind('truncate', given, names);
  const [limit, mark] = [wholeArgument(most, 'truncate'), textArgument(end, 'truncate')];
  const slack = leeway === null ? 5 : wholeArgument(leeway, 'truncate');
  if (limit < lengthOfText(mark) || slack < 0) {
    throw new TemplateFault('truncate needs a length of at least that of its end');
  }
  if (lengthOf(value) <= limit + slack) return value;
  if (value instanceof Safe) throw unsupported('the filter "truncate" on a text marked as safe');
  const text = textArgument(value, 'truncate');
  const kept = (wideCharacters(text) ?? text.split('')).slice(0, limit - lengthOfText(mark)).join('');
  return (isTrue(killWords) ? kept : splitText(kept, ' ', 1, 'right', budget)[0]!) + mark;
};

const join: Filter = (value, given, budget) => {
  const [separator = '', attribute = null] = bind('join', given, ['d', 'attribute']);
  const items = sequenceFilters.get('map')!;
  const named = new Map([['attribute', attribute]]);
  const values = attribute === null ? value : items(value, { positional: [], named }, budget);
  const texts = sequenceFilters.get('list')!(values, { positional: [], named: new Map() }, budget) as Value[];
  return joined(
    textOf(separator, budget),
    texts.map((text) => textOf(text, budget)),
    budget,
  );
};

/** The filters of jinja2 by name, with transformers' version of `tojson`. */
const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ...sequenceFilters,
  ...numberFilters,
  ['capitalize', shaping(capitalized)],
  [
    'center',
    shaping((text, given, budget) => {
      const [width = 80n] = bind('center', given, ['width']);
      return padded(text, wholeArgument(width, 'center'), ' ', 'center', budget);
    }),
  ],
  ['count', length],
  ['d', fallback],
  ['default', fallback],
  ['e', escaping],
  ['escape', escaping],
  ['forceescape', (value, _given, budget) => new Safe(escaped(textOf(value, budget), budget))],
  ['format', format],
  ['indent', indent],
  ['join', join],
  ['length', length],
  ['lower', shaping((text) => text.toLowerCase())],
  ['replace', replace],
  ['safe', (value, _given, budget) => (value instanceof Safe ? value : new Safe(textOf(value, budget)))],
  ['string', (value, _given, budget) => (value instanceof Safe ? value : textOf(value, budget))],
  ['title', title],
  ['tojson', jsonText],
  ['trim', shaping((text, given) => strip(text, bind('trim', given, ['chars'])[0] ?? null))],
  ['truncate', truncate],
  ['upper', shaping((text) => text.toUpperCase())],
  ['wordcount', (value, _given, budget) => BigInt(textOf(value, budget).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)],
]);

const withoutArguments: ReadonlySet<string> = new Set(
  'abs capitalize count e escape first forceescape items last length list lower reverse safe string title upper wordcount'.split(
    ' ',
  ),
);

export const filterNames: ReadonlySet<string> = new Set(filters.keys());

/** `value | name(…)` */
export function applyFilter(name: string, value: Value, given: CallArguments, budget: Budget): Value {
  const filter = filters.get(name);
  if (!filter) throw unsupported(`the filter ${JSON.stringify(name)}`);
  if (withoutArguments.has(name)) bind(name, given, []);
  budget.read(typeof value === 'string' ? value.length : 0);
  return filter(value, given, budget);
}
