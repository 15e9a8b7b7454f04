import type { Budget } from './budget.ts';
import { TemplateFault } from './fault.ts';
import { isSpace, lineEnd, trimmedEnd, trimmedStart } from './space.ts';
import { itemsOf, Safe, typeName, Undefined, type Value } from './values.ts';

/** Python's `str.join()`. */
export function joined(separator: string, iterable: Value, budget: Budget): string {
  const items = itemsOf(iterable, budget);
  let length = separator.length * Math.max(0, items.length - 1);
  const texts = items.map((item) => {
    if (item instanceof Undefined) throw item.fault();
    const text = item instanceof Safe ? item.text : item;
    if (typeof text !== 'string') throw new TemplateFault(`.join() needs texts, and one is a ${typeName(item)}`);
    length += text.length;
    return text;
  });
  budget.makeText(length);
  return texts.join(separator);
}

/**
 * Python's `str.replace()`: replaces all occurrences or the first `most`; an empty text occurs between all characters.
 */
export function replaced(text: string, old: string, fresh: string, most: number, budget: Budget): string {
  const parts = old === '' ? ['', ...Array.from(text), ''] : text.split(old);
  const count = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1);
  budget.spend(parts.length);
  budget.makeText(text.length + count * (fresh.length - old.length));
  return (
    parts.slice(0, count + 1).join(fresh) + (count < parts.length - 1 ? old + parts.slice(count + 1).join(old) : '')
  );
}

/**
 * Python's `str.split()` and `rsplit()`: splits at a separator or at runs of white space, at most `most` times unless
 * that is negative.
 */
export function splitText(
  text: string,
  separator: string | undefined,
  most: number,
  from: 'left' | 'right',
  budget: Budget,
): string[] {
  if (separator === '') throw new TemplateFault('.split() needs a separator that is not empty');
  const parts = separator === undefined ? splitAtSpace(text, most, from) : splitAt(text, separator, most, from);
  budget.spend(parts.length);
  budget.makeText(text.length);
  return parts;
}

function splitAt(text: string, separator: string, most: number, from: 'left' | 'right'): string[] {
  if (from === 'left') {
    const parts = text.split(separator);
    if (most < 0 || parts.length <= most + 1) return parts;
    return [...parts.slice(0, most), parts.slice(most).join(separator)];
  }
  const parts: string[] = [];
  let end = text.length;
  while (most < 0 || parts.length < most) {
    const at = end < separator.length ? -1 : text.lastIndexOf(separator, end - separator.length);
    if (at < 0) break;
    parts.push(text.slice(at + separator.length, end));
    end = at;
  }
  return [...parts, text.slice(0, end)].reverse();
}

function splitAtSpace(text: string, most: number, from: 'left' | 'right'): string[] {
  const parts: string[] = [];
  let start = trimmedStart(text);
  let end = trimmedEnd(text);
  while (start < end) {
    if (most >= 0 && parts.length === most) {
      parts.push(from === 'left' ? text.slice(start) : text.slice(0, end));
      break;
    }
    if (from === 'left') {
      const begin = start;
      while (start < end && !isSpace(text[start]!)) start++;
      parts.push(text.slice(begin, start));
      while (start < end && isSpace(text[start]!)) start++;
    } else {
      const stop = end;
      while (end > start && !isSpace(text[end - 1]!)) end--;
      parts.push(text.slice(end, stop));
      while (end > start && isSpace(text[end - 1]!)) end--;
    }
  }
  return from === 'left' ? parts : parts.reverse();
}

const lines = new RegExp(`[^${lineEnd}]*(?:\\r\\n|[${lineEnd}])|[^${lineEnd}]+$`, 'g');
const end = new RegExp(`(?:\\r\\n|[${lineEnd}])$`);

/** Python's `str.splitlines()`: splits at all line ends of Unicode. */
export function splitLines(text: string, keepEnds: boolean, budget: Budget): string[] {
  const found = text.match(lines) ?? [];
  budget.spend(found.length);
  return keepEnds ? found : found.map((line) => line.replace(end, ''));
}
