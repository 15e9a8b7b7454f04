import type { ChatTemplate } from './chat-templates.ts';
import type { GenerationConfig } from './generation-config.ts';

/** Token ids of a text with the position of each token. */
export interface Encoding {
  ids: Int32Array;
  /** [2 · ids.length]: start and end of each token in UTF-16 code units; end is exclusive, spans never decrease. */
  offsets: Int32Array;
}

/** A tokenizer opened from Hugging Face files. */
export interface Tokenizer {
  /** One more than the largest id; the model's embedding needs at least this many rows. */
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  /** All ids that end a text: the end token, and those listed in the model's config.json and generation_config.json. */
  readonly endIds: readonly number[];
  /** generation_config.json of the model in the same directory; models trained from it keep it. */
  readonly generationConfig: GenerationConfig | undefined;
  /** Ids that the tokenizer's post-processor adds before a text: usually none or a beginning-of-sequence token. */
  readonly prefixIds: readonly number[];
  /** Chat templates by name; the one called `default` is used. */
  readonly chatTemplates: ReadonlyMap<string, ChatTemplate>;
  /** SHA-256 over the tokenizer's files, for content keys and caches. */
  readonly fingerprint: string;

  /** Ids of the text. Special tokens in the text are recognised; none are added. */
  encode(text: string): Int32Array;
  /** Like `encode`, with the position of each token in the text. */
  encodeWithOffsets(text: string): Encoding;
  /** Text of the ids; skips ids that belong to no token. */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  /** Writes the files that the tokenizer was opened from into a directory, which is created if it does not exist. */
  save(directory: string): Promise<void>;
}
