/** F1 of what a text and its reference have in common, 0 to 1. */
export interface Rouge {
  rouge1: number;
  rouge2: number;
  rougeL: number;
}

/**
 * ROUGE (Lin 2004) of a text against one reference, as Google's `rouge_score` 0.1.2 has it without stemming: words are
 * runs of ASCII letters and digits in lower case; ROUGE-1 and -2 count common words and pairs of words, ROUGE-L the
 * longest common subsequence of words.
 */
export function rouge(reference: string, text: string): Rouge {
  const [expected, found] = [wordsOf(reference), wordsOf(text)];
  return {
    rouge1: overlap(runsOf(expected, 1), runsOf(found, 1)),
    rouge2: overlap(runsOf(expected, 2), runsOf(found, 2)),
    rougeL: f1(longestCommon(expected, found), expected.length, found.length),
  };
}

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];

const runsOf = (words: readonly string[], length: number): string[] =>
  Array.from({ length: Math.max(0, words.length - length + 1) }, (_, i) => words.slice(i, i + length).join(' '));

/** F1 of common items, each as often as both have it. */
function overlap(expected: readonly string[], found: readonly string[]): number {
  const left = new Map<string, number>();
  for (const item of expected) left.set(item, (left.get(item) ?? 0) + 1);
  let common = 0;
  for (const item of found) {
    const count = left.get(item) ?? 0;
    if (count > 0) common++;
    left.set(item, count - 1);
  }
  return f1(common, expected.length, found.length);
}

/** Length of the longest common subsequence. */
function longestCommon(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const word of a) {
    const next = [0];
    for (let j = 0; j < b.length; j++) next.push(b[j] === word ? row[j]! + 1 : Math.max(row[j + 1]!, next[j]!));
    row = next;
  }
  return row[b.length]!;
}

const f1 = (common: number, expected: number, found: number): number =>
  common === 0 ? 0 : (2 * common) / (expected + found);
