import { Heap } from './heap.ts';
import { leftOf, type Merge, pairKey, rightOf } from './merges.ts';

/** The distinct words of the training text as concatenated symbol ids, with the number of occurrences of each. */
interface Words {
  symbols: Int32Array;
  starts: Int32Array;
  /** Symbols left in each word. */
  lengths: Int32Array;
  counts: Float64Array;
}

/** A pair that may be merged next, and the words in which it has appeared. */
interface Candidate {
  pair: number;
  count: number;
  words: number[];
}

/**
 * Learns merges exactly as Hugging Face's `BpeTrainer` does: the most frequent pair first and, among equally frequent
 * pairs, the one with the smaller ids. A pair that appears again after it was queued, because two merges produce the
 * same token, is queued a second time with only its new words.
 *
 * `tokens` are the entries so far, by id (special tokens, then the alphabet); new tokens are appended until there are
 * `vocabSize` or no pairs are left. Every symbol of every word must be an entry.
 */
export function learnMerges(wordCounts: ReadonlyMap<string, number>, tokens: string[], vocabSize: number): Merge[] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = layWords(wordCounts, ids);
  const pairCounts = new Map<number, number>();
  const queue = new Heap<Candidate>((a, b) => (a.count === b.count ? a.pair < b.pair : a.count > b.count));
  queuePairs(allPairs(words, pairCounts), pairCounts, queue);

  const merges: Merge[] = [];
  while (tokens.length < vocabSize) {
    const best = queue.pop();
    if (best === undefined) break;
    const count = pairCounts.get(best.pair)!;
    if (best.count !== count) {
      queue.push({ ...best, count });
      continue;
    }
    if (count < 1) break;
    const left = leftOf(best.pair);
    const right = rightOf(best.pair);
    const token = tokens[left]! + tokens[right]!;
    let id = ids.get(token);
    if (id === undefined) {
      id = tokens.push(token) - 1;
      ids.set(token, id);
    }
    merges.push([left, right, id]);
    queuePairs(mergeInWords(words, best.words, [left, right, id], pairCounts), pairCounts, queue);
  }
  return merges;
}

function layWords(wordCounts: ReadonlyMap<string, number>, ids: ReadonlyMap<string, number>): Words {
  const starts = new Int32Array(wordCounts.size + 1);
  let index = 0;
  for (const word of wordCounts.keys()) starts[index + 1] = starts[index++]! + word.length;
  const symbols = new Int32Array(starts[index]!);
  let at = 0;
  for (const word of wordCounts.keys()) for (const symbol of word) symbols[at++] = ids.get(symbol)!;
  const lengths = Int32Array.from({ length: wordCounts.size }, (_, word) => starts[word + 1]! - starts[word]!);
  return { symbols, starts, lengths, counts: Float64Array.from(wordCounts.values()) };
}

/** The words that contain each pair; a word is listed once per pair. */
class PairWords extends Map<number, number[]> {
  add(pair: number, word: number): void {
    const words = this.get(pair);
    if (words === undefined) this.set(pair, [word]);
    else if (words.at(-1) !== word) words.push(word);
  }
}

function allPairs({ symbols, starts, lengths, counts }: Words, pairCounts: Map<number, number>): PairWords {
  const found = new PairWords();
  for (let word = 0; word < lengths.length; word++) {
    const start = starts[word]!;
    for (let at = start; at + 1 < start + lengths[word]!; at++) {
      const pair = pairKey(symbols[at]!, symbols[at + 1]!);
      pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + counts[word]!);
      found.add(pair, word);
    }
  }
  return found;
}

function queuePairs(found: PairWords, pairCounts: ReadonlyMap<number, number>, queue: Heap<Candidate>): void {
  for (const [pair, words] of found) {
    const count = pairCounts.get(pair)!;
    if (count > 0) queue.push({ pair, count, words });
  }
}

/** Applies a merge in the given words, in place; returns the new pairs. The count of the merged pair is not changed. */
function mergeInWords(
  words: Words,
  where: readonly number[],
  merge: Merge,
  pairCounts: Map<number, number>,
): PairWords {
  const { symbols, starts, lengths, counts } = words;
  const [left, right, result] = merge;
  const made = new PairWords();
  for (const word of where) {
    const count = counts[word]!;
    const lose = (pair: number) => pairCounts.set(pair, (pairCounts.get(pair) ?? 0) - count);
    const gain = (pair: number) => {
      pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + count);
      made.add(pair, word);
    };
    const start = starts[word]!;
    const end = start + lengths[word]!;
    let to = start;
    for (let from = start; from < end; from++, to++) {
      if (symbols[from] !== left || from + 1 >= end || symbols[from + 1] !== right) {
        symbols[to] = symbols[from]!;
        continue;
      }
      if (to > start) {
        lose(pairKey(symbols[to - 1]!, left));
        gain(pairKey(symbols[to - 1]!, result));
      }
      if (from + 2 < end) {
        lose(pairKey(right, symbols[from + 2]!));
        gain(pairKey(result, symbols[from + 2]!));
      }
      symbols[to] = result;
      from++;
    }
    lengths[word] = to - start;
  }
  return made;
}
