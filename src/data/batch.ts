/** A tokenised row, and which of its tokens are trained. */
export interface Sequence {
  tokens: Int32Array;
  /** 1 for each token whose prediction from those before it is trained, else 0; 0 for the first token. */
  trained: Uint8Array;
}

/** Concatenated sequences, without padding. Row i of the model's output predicts `targets[i]`. */
export interface Batch {
  /** Token ids, [rows]. */
  tokens: Int32Array;
  /** Position of each row in its sequence, from 0, [rows]. */
  positions: Int32Array;
  /** First row of each sequence, then the number of rows, [sequences + 1]. */
  segments: Int32Array;
  /** Id of the token to predict, −1 if it is not trained, [rows]. */
  targets: Int32Array;
  /** Number of targets that are not −1. */
  trainedTokens: number;
}

/** Number of trained tokens of a sequence. */
export function trainedTokensOf({ trained }: Sequence): number {
  let count = 0;
  for (let i = 1; i < trained.length; i++) count += trained[i]!;
  return count;
}

/** Concatenated whole texts. Unlike in a `Batch`, the last token of each text is a row, too: `segments[i + 1] − 1`. */
export interface WholeTexts {
  /** Token ids, [rows]. */
  tokens: Int32Array;
  /** Position of each row in its text, from 0, [rows]. */
  positions: Int32Array;
  /** First row of each text, then the number of rows, [texts + 1]. */
  segments: Int32Array;
}

/** Concatenates texts, without padding. */
export function packWholeTexts(texts: readonly Int32Array[]): WholeTexts {
  const rows = texts.reduce((sum, { length }) => sum + length, 0);
  const packed = {
    tokens: new Int32Array(rows),
    positions: new Int32Array(rows),
    segments: new Int32Array(texts.length + 1),
  };
  texts.forEach((text, index) => {
    const start = packed.segments[index]!;
    packed.tokens.set(text, start);
    for (let i = 0; i < text.length; i++) packed.positions[start + i] = i;
    packed.segments[index + 1] = start + text.length;
  });
  return packed;
}

/** Concatenates sequences. The last token of each is not a row, because it is only a target. */
export function packSequences(sequences: readonly Sequence[]): Batch {
  const rows = sequences.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);
  const batch: Batch = {
    tokens: new Int32Array(rows),
    positions: new Int32Array(rows),
    segments: new Int32Array(sequences.length + 1),
    targets: new Int32Array(rows).fill(-1),
    trainedTokens: 0,
  };
  let row = 0;
  sequences.forEach(({ tokens, trained }, index) => {
    for (let i = 0; i + 1 < tokens.length; i++, row++) {
      batch.tokens[row] = tokens[i] as number;
      batch.positions[row] = i;
      if (trained[i + 1]) {
        batch.targets[row] = tokens[i + 1] as number;
        batch.trainedTokens++;
      }
    }
    batch.segments[index + 1] = row;
  });
  return batch;
}

/** Groups consecutive rows, with at most `tokens` tokens per group unless a single row is longer. */
export function* groupsOfTokens<Row>(
  rows: readonly Row[],
  tokens: number,
  lengthOf: (row: Row) => number,
): Generator<Row[]> {
  let [group, filled] = [[] as Row[], 0];
  for (const row of rows) {
    const length = lengthOf(row);
    if (group.length > 0 && filled + length > tokens) {
      yield group;
      [group, filled] = [[], 0];
    }
    group.push(row);
    filled += length;
  }
  if (group.length > 0) yield group;
}
