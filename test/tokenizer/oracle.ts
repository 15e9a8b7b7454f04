import { Tokenizer } from 'tokenizers';

/** Ids and UTF-16 offsets of Hugging Face's Rust tokenizer, no special tokens added. */
export async function oracle(json: string): Promise<(text: string) => Promise<{ ids: number[]; offsets: number[] }>> {
  const tokenizer = Tokenizer.fromString(json);
  return async (text) => {
    const encoding = await tokenizer.encode(text, null, { addSpecialTokens: false });
    const units = unitsOfCodePoints(text);
    return { ids: encoding.getIds(), offsets: encoding.getOffsets().flatMap((span) => span.map((at) => units[at]!)) };
  };
}

/** The oracle counts code points. */
function unitsOfCodePoints(text: string): number[] {
  const units = [0];
  for (const character of text) units.push(units.at(-1)! + character.length);
  return units;
}

/**
 * A span without the two things that are decided otherwise here: the oracle gives a `▁` that was put in front the first
 * character of the text, and leaves marks out that a normaliser joined to their letter.
 */
export function comparableSpan(text: string, token: string, start: number, end: number): string {
  const spanned = text.slice(start, end);
  if (token === '▁' && spanned !== ' ' && spanned !== '▁') return `${start}`;
  return `${start}-${start + spanned.replace(/(?<=.)\p{M}+$/u, '').length}`;
}

/** The pieces of a text that no span covers. */
export function uncovered(text: string, offsets: Int32Array): string {
  let left = '';
  let reached = 0;
  for (let i = 0; i < offsets.length; i += 2) {
    left += text.slice(reached, offsets[i]);
    reached = Math.max(reached, offsets[i + 1]!);
  }
  return left + text.slice(reached);
}

/** Whether starts never decrease, no span ends before it starts, and none leaves the text. */
export function inOrder(text: string, offsets: Int32Array): boolean {
  return offsets.every((at, i) => at <= text.length && at >= (i % 2 === 1 ? offsets[i - 1]! : (offsets[i - 2] ?? 0)));
}
