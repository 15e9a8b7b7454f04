import type { Tokenizer } from './tokenizer.ts';

/** What turns text into ids and back; the rest of a Tokenizer is read from its files. */
export type Codec = Pick<
  Tokenizer,
  'vocabSize' | 'encode' | 'encodeWithOffsets' | 'decode' | 'tokenToId' | 'idToToken'
>;
