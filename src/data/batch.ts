/** One tokenised row: what enters the model, and which of its tokens are trained. */
export interface Sequence {
  tokens: Int32Array;
  /** 1 where predicting this token from those before it is trained; the first token never is. */
  trained: Uint8Array;
}

/** Sequences one after the other, without padding. Row i of the model's output predicts `targets[i]`. */
export interface Batch {
  /** [rows] */
  tokens: Int32Array;
  /** [rows], from 0 in each sequence. */
  positions: Int32Array;
  /** [sequences + 1], row offsets. */
  segments: Int32Array;
  /** [rows], −1 where nothing is trained. */
  targets: Int32Array;
  /** Number of targets that are not −1. */
  trainedTokens: number;
}

/** Tokens of a sequence that are trained. */
export function trainedTokensOf({ trained }: Sequence): number {
  let count = 0;
  for (let i = 1; i < trained.length; i++) count += trained[i]!;
  return count;
}

/** Whole texts one after the other: unlike in a `Batch`, the last token of each is a row, at `segments[i + 1] − 1`. */
export interface WholeTexts {
  /** [rows] */
  tokens: Int32Array;
  /** [rows], from 0 in each text. */
  positions: Int32Array;
  /** [texts + 1], row offsets. */
  segments: Int32Array;
}

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

/** Lays sequences one after the other; the last token of each is only a target, so it is not a row. */
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

/** Consecutive rows together, each group of at most `tokens` tokens unless one row alone is longer. */
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
