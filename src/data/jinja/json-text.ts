import type { Budget } from './budget.ts';
import { bind, textArgument } from './call-arguments.ts';
import { order } from './compare.ts';
import { TemplateFault } from './fault.ts';
import { control } from './space.ts';
import { floatText, intText } from './text-of.ts';
import { type CallArguments, Dict, isTrue, Safe, Tuple, typeName, type Value } from './values.ts';

/** Limits the recursion over nested lists. */
const deepest = 200;

interface Layout {
  isAscii: boolean;
  indent: string | undefined;
  between: string;
  afterKey: string;
  isSorted: boolean;
}

/** transformers' filter `tojson`: Python's `json.dumps`, without escaping for HTML. */
export function jsonText(value: Value, given: CallArguments, budget: Budget): string {
  const names = ['ensure_ascii', 'indent', 'separators', 'sort_keys'];
  const [isAscii = false, indent = null, separators = null, isSorted = false] = bind('tojson', given, names);
  const hasIndent = indent !== null;
  if (typeof indent === 'bigint') budget.makeText(Math.max(0, Number(indent)));
  const pair = separators instanceof Tuple ? separators.items : Array.isArray(separators) ? separators : undefined;
  if (separators !== null && pair?.length !== 2) throw new TemplateFault('separators of tojson must be two texts');
  const text = textWith(
    value,
    '\n',
    {
      isAscii: isTrue(isAscii),
      indent: !hasIndent
        ? undefined
        : typeof indent === 'bigint'
          ? ' '.repeat(Math.max(0, Number(indent)))
          : textArgument(indent, 'tojson'),
      between: pair ? textArgument(pair[0], 'tojson') : hasIndent ? ',' : ', ',
      afterKey: pair ? textArgument(pair[1], 'tojson') : ': ',
      isSorted: isTrue(isSorted),
    },
    budget,
  );
  budget.makeText(text.length);
  return text;
}

function textWith(value: Value, newline: string, layout: Layout, budget: Budget): string {
  budget.spend(1);
  if (newline.length > 1 + deepest * (layout.indent?.length || 1))
    throw new TemplateFault(`tojson nests more than ${deepest} deep`);
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') {
    budget.makeText(value.length);
    return quoted(value, layout);
  }
  if (value instanceof Safe) return quoted(value.text, layout);
  if (typeof value === 'bigint') return intText(value);
  if (typeof value === 'number') return floatJson(value);
  const isDict = value instanceof Dict;
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined;
  if (!isDict && !items) throw new TemplateFault(`tojson cannot write a ${typeName(value)}`);
  const inner = newline + (layout.indent ?? ' ');
  const parts = isDict
    ? sortedEntries(value, layout.isSorted, budget).map(
        ([key, item]) => quoted(keyText(key), layout) + layout.afterKey + textWith(item, inner, layout, budget),
      )
    : items!.map((item) => textWith(item, inner, layout, budget));
  const [open, close] = isDict ? '{}' : '[]';
  if (parts.length === 0) return `${open}${close}`;
  if (layout.indent === undefined) return open + parts.join(layout.between) + close;
  return open + inner + parts.join(layout.between + inner) + newline + close;
}

const sortedEntries = (dict: Dict, isSorted: boolean, budget: Budget): [Value, Value][] =>
  isSorted ? dict.entries().sort(([a], [b]) => order(a, b, budget)) : dict.entries();

function floatJson(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? floatText(value) : value > 0 ? 'Infinity' : '-Infinity';
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key;
  if (key instanceof Safe) return key.text;
  if (key === null) return 'null';
  if (typeof key === 'boolean') return String(key);
  if (typeof key === 'bigint') return intText(key);
  if (typeof key === 'number') return floatJson(key);
  throw new TemplateFault(`tojson cannot write a ${typeName(key)} as a key`);
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\f', '\\f'],
  ['\b', '\\b'],
]);

/** Control characters, quotes and backslashes. */
const special = new RegExp(`["\\\\${control}]`, 'g');

function quoted(text: string, { isAscii }: Layout): string {
  const escaped = (unit: string) => escapes.get(unit) ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return `"${text.replace(isAscii ? /["\\]|[^ -~]/g : special, escaped)}"`;
}
