import { TemplateFault } from './fault.ts';
import { wideCharacters } from './values.ts';

/** The bounds start:stop:step, each of which can be left out. */
export interface SliceBounds {
  start: number | undefined;
  stop: number | undefined;
  step: number | undefined;
}

/** Python's slice of a sequence: a negative index counts from the end, a negative step goes backwards. */
export function sliced<T>(items: readonly T[], { start, stop, step = 1 }: SliceBounds): T[] {
  if (step === 0) throw new TemplateFault('the step of a slice is 0');
  const { length } = items;
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const bound = (at: number | undefined, otherwise: number): number =>
    at === undefined ? otherwise : Math.max(low, Math.min(high, at < 0 ? at + length : at));
  const from = bound(start, step > 0 ? low : high);
  const to = bound(stop, step > 0 ? high : low);
  if (step === 1) return items.slice(from, Math.max(from, to));
  const taken: T[] = [];
  for (let at = from; step > 0 ? at < to : at > to; at += step) taken.push(items[at]!);
  return taken;
}

export function slicedText(text: string, bounds: SliceBounds): string {
  const wide = wideCharacters(text);
  const { start = 0, stop, step = 1 } = bounds;
  if (!wide && step === 1) return text.slice(start, stop);
  return sliced(wide ?? text.split(''), bounds).join('');
}

/** The character at an index, negative from the end. Reads no more of the text than necessary. */
export function characterAt(text: string, index: number): string | undefined {
  let at = index < 0 ? text.length : 0;
  for (let i = index; i < 0 && at >= 0; i++) at -= isPair(text, at - 2) ? 2 : 1;
  for (let i = index; i > 0 && at < text.length; i--) at += isPair(text, at) ? 2 : 1;
  return at < 0 || at >= text.length ? undefined : text.slice(at, at + (isPair(text, at) ? 2 : 1));
}

const isPair = (text: string, at: number): boolean => at >= 0 && text.codePointAt(at)! > 0xffff;
