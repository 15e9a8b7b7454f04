import type { Tokenizer } from './tokenizer.ts';

/** The part of a Tokenizer that converts between text and ids; the rest is read from its files. */
export type Codec = Pick<
  Tokenizer,
  'vocabSize' | 'encode' | 'encodeWithOffsets' | 'decode' | 'tokenToId' | 'idToToken'
>;
