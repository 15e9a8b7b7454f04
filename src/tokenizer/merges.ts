import { Heap } from './heap.ts';

/** A merge of two symbols into one, by id. */
export type Merge = readonly [left: number, right: number, result: number];

/** Ids are below 2²⁴, so a pair of them is exact in a double. */
const pairBase = 2 ** 24;

export const pairKey = (left: number, right: number): number => left * pairBase + right;
export const leftOf = (pair: number): number => Math.floor(pair / pairBase);
export const rightOf = (pair: number): number => pair % pairBase;

const ended = -1;

/**
 * Byte-pair encoding of one word (Sennrich et al. 2016): applies the merge of lowest rank, at its leftmost occurrence,
 * until no merge applies. The rank is the position in the list; if a pair is listed twice, the last position counts, as
 * in Hugging Face's implementation. Takes O(n log n) for n symbols.
 */
export function bpeMerger(merges: readonly Merge[]): (symbols: Int32Array) => Int32Array {
  const ranks = new Map(merges.map(([left, right], rank) => [pairKey(left, right), rank]));
  return (symbols) => (symbols.length < 2 ? symbols : mergeWord(symbols, merges, ranks));
}

function mergeWord(word: Int32Array, merges: readonly Merge[], ranks: ReadonlyMap<number, number>): Int32Array {
  const symbols = word.slice();
  const length = symbols.length;
  const next = Int32Array.from(symbols, (_, i) => (i + 1 < length ? i + 1 : ended));
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const candidates = new Heap<number>((a, b) => a < b); // rank · length + position
  const rankAt = (at: number) => {
    const right = next[at]!;
    return right === ended ? undefined : ranks.get(pairKey(symbols[at]!, symbols[right]!));
  };
  const offer = (at: number) => {
    const rank = rankAt(at);
    if (rank !== undefined) candidates.push(rank * length + at);
  };

  for (let at = 0; at < length; at++) offer(at);
  let remaining = length;
  for (let candidate = candidates.pop(); candidate !== undefined; candidate = candidates.pop()) {
    const at = candidate % length;
    const rank = Math.floor(candidate / length);
    if (symbols[at] === ended || rankAt(at) !== rank) continue; // its symbols have since been merged
    const right = next[at]!;
    symbols[at] = merges[rank]![2];
    symbols[right] = ended;
    next[at] = next[right]!;
    if (next[at] !== ended) previous[next[at]!] = at;
    remaining--;
    offer(at);
    if (previous[at] !== ended) offer(previous[at]!);
  }
  return remaining === length ? symbols : symbols.filter((symbol) => symbol !== ended);
}
