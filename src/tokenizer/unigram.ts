/** Score of an unknown character: this much below that of the least likely piece, as in SentencePiece. */
const unknownPenalty = 10;

interface Node {
  next: Map<string, Node>;
  /** Score of the piece that ends here. */
  score: number | undefined;
}

/**
 * Returns a function that splits a text into the most likely sequence of pieces (Kudo 2018), by dynamic programming
 * over its positions. A character that is not a piece becomes an unknown piece. Among equally likely splits the first
 * one found is taken, and scores are added in the order of the Rust tokenizers, because rounding decides between splits
 * such as one and two spaces or two and one.
 */
export function unigramCutter(
  vocabulary: readonly (readonly [piece: string, score: number])[],
): (text: string) => string[] {
  const root: Node = { next: new Map(), score: undefined };
  let lowest = Number.POSITIVE_INFINITY;
  for (const [piece, score] of vocabulary) {
    let node = root;
    for (const unit of piece.split('')) {
      const next = node.next.get(unit) ?? { next: new Map(), score: undefined };
      node.next.set(unit, next);
      node = next;
    }
    node.score = score;
    lowest = Math.min(lowest, score);
  }
  const unknown = lowest - unknownPenalty;

  return (text) => {
    const scores = new Float64Array(text.length + 1).fill(Number.NaN);
    const starts = new Int32Array(text.length + 1);
    scores[0] = 0;
    const offer = (start: number, end: number, score: number): void => {
      const candidate = score + scores[start]!;
      if (candidate <= scores[end]!) return; // NaN: no piece ends there yet
      scores[end] = candidate;
      starts[end] = start;
    };
    for (let start = 0; start < text.length; ) {
      const afterCharacter = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
      let isKnown = false;
      let node = root.next.get(text[start]!);
      for (let end = start + 1; node; end++) {
        if (node.score !== undefined) offer(start, end, node.score);
        isKnown ||= node.score !== undefined && end === afterCharacter;
        node = end < text.length ? node.next.get(text[end]!) : undefined;
      }
      if (!isKnown) offer(start, afterCharacter, unknown);
      start = afterCharacter;
    }
    const pieces: string[] = [];
    for (let end = text.length; end > 0; end = starts[end]!) pieces.push(text.slice(starts[end], end));
    return pieces.reverse();
  };
}
