import type { ChatTemplate } from './chat-templates.ts';
import type { GenerationConfig } from './generation-config.ts';

/** Token ids of a text with the place of each token in it. */
export interface Encoding {
  ids: Int32Array;
  /** [2 · ids.length]: start and end of each token in UTF-16 code units; end is exclusive, spans never decrease. */
  offsets: Int32Array;
}

export interface Tokenizer {
  /** One more than the largest id; the model's embedding needs at least this many rows. */
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** Every id that ends a text: the end token, and those that config.json and generation_config.json beside it list. */
  readonly endIds: readonly number[];
  /** generation_config.json of the model that the tokenizer lies beside, which its results keep. */
  readonly generationConfig: GenerationConfig | undefined;
  /** What the tokenizer's own template puts before a text: mostly nothing or a beginning-of-sequence token. */
  readonly prefixIds: readonly number[];
  /** By name; the one called `default` is used. */
  readonly chatTemplates: ReadonlyMap<string, ChatTemplate>;
  /** SHA-256 over the tokenizer's files, for content keys and caches. */
  readonly fingerprint: string;

  /** Ids of the text. Special tokens that stand in the text are recognised; none is added. */
  encode(text: string): Int32Array;
  encodeWithOffsets(text: string): Encoding;
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  /** Writes tokenizer.json and tokenizer_config.json (and what else the tokenizer came with) into a directory. */
  save(directory: string): Promise<void>;
}
