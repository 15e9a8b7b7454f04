import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { RequestError } from '../errors.ts';
import { TimeLimitError, withinTime } from '../time-limit.ts';
import { alignTokens, unknownSurface } from './alignment.ts';
import type { Codec } from './codec.ts';
import { withEquivalents } from './equivalents.ts';
import { mergesById } from './model-json.ts';
import { knownSplits } from './splitting.ts';
import { tokenSurface } from './surfaces.ts';
import type { TokenizerConfig, TokenizerJson } from './tokenizer-json.ts';
import { unigramCutter } from './unigram.ts';

/**
 * Any other tokenizer.json for which `@huggingface/tokenizers` gives the same ids as the Rust tokenizers
 * (SentencePiece-style BPE, Unigram, WordPiece …). Offsets are found afterwards, by aligning the text of each token
 * with the input.
 * @throws RequestError if the ids would differ
 */
export function generalCodec(json: TokenizerJson, config: TokenizerConfig): Codec {
  const tokenizer = openHuggingFaceTokenizer(json, config);
  const added = new Set(json.added_tokens.map(({ id }) => id));
  const special = new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id));
  const idToToken = (id: number) => tokenizer.id_to_token(id);
  const { model } = json;
  if (model.type === 'Unigram') Object.assign(tokenizer.model, { tokenize: unigramCutter(model.vocab) });
  if (model.type === 'BPE') mergesById(model, new Map(Object.entries(model.vocab)));
  const inTime = hasUnknownPattern(json) ? limited : <T>(_: number, run: () => T): T => run();
  const tokenize = (text: string) => tokenizer.encode(text, { add_special_tokens: false });
  const idsOf =
    model.type === 'Unigram' && model.byte_fallback
      ? bytesForUnknown(tokenizer)
      : ({ ids }: HuggingFaceEncoding) => ids;
  const encode = (text: string) =>
    text === '' ? new Int32Array() : Int32Array.from(inTime(text.length, () => idsOf(tokenize(text))));
  const unknown = model.type === 'Unigram' ? model.unk_id : tokenizer.token_to_id(String(model.unk_token));
  const surface = (id: number) => {
    if (id === unknown) return unknownSurface;
    const token = idToToken(id) ?? '';
    return added.has(id) ? new TextEncoder().encode(token) : tokenSurface(token, json.decoder);
  };
  return {
    vocabSize: [...tokenizer.get_vocab().values()].reduce((largest, id) => Math.max(largest, id), -1) + 1,
    encode,
    encodeWithOffsets(text) {
      const ids = encode(text);
      return { ids, offsets: alignTokens(text, Array.from(ids, surface)) };
    },
    decode(ids, { skipSpecialTokens = false } = {}) {
      const known = Array.from(ids).filter(
        (id) => idToToken(id) !== undefined && !(skipSpecialTokens && special.has(id)),
      );
      if (known.length === 0) return '';
      return inTime(known.length, () => tokenizer.decode(known, { clean_up_tokenization_spaces: false }));
    },
    tokenToId: (token) => tokenizer.token_to_id(token),
    idToToken,
  };
}

function openHuggingFaceTokenizer(json: TokenizerJson, config: TokenizerConfig): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(withEquivalents(json), { ...config, clean_up_tokenization_spaces: false });
  } catch (error) {
    if (error instanceof RequestError) throw error;
    throw new RequestError({
      message: `cannot be used: ${(error as Error).message}`,
      where: 'tokenizer.json',
      hint: 'it must be a file that Hugging Face’s tokenizers can load; copy it again, or convert it with transformers',
    });
  }
}

interface HuggingFaceEncoding {
  ids: number[];
  tokens: string[];
}

/**
 * Encodes tokens missing from the vocabulary as the tokens of their UTF-8 bytes, if it has all of them. The library
 * does this for BPE only.
 */
function bytesForUnknown(tokenizer: HuggingFaceTokenizer): (encoding: HuggingFaceEncoding) => number[] {
  return ({ ids, tokens }) =>
    tokens.flatMap((token, i) => {
      if (tokenizer.token_to_id(token) !== undefined) return ids[i]!;
      const bytes = Array.from(Buffer.from(token), (byte) =>
        tokenizer.token_to_id(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
      );
      return bytes.includes(undefined) ? ids[i]! : (bytes as number[]);
    });
}

/** Whether the file contains regular expressions other than the known ones, which match in linear time. */
function hasUnknownPattern({ normalizer, pre_tokenizer, decoder }: TokenizerJson): boolean {
  const written = JSON.stringify([normalizer, pre_tokenizer, decoder], (key, value: unknown) =>
    key === 'Regex' && knownSplits.has(value as string) ? undefined : value,
  );
  return written.includes('"Regex":');
}

/**
 * A regular expression that someone else wrote may backtrack almost forever. Any reasonable one needs less than 10 s
 * plus 1 ms per character.
 */
function limited<T>(characters: number, run: () => T): T {
  try {
    return withinTime(10_000 + characters, run);
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw new RequestError({
      where: 'tokenizer.json',
      message: `splitting a text of ${characters} characters ${error.message}`,
      hint: 'a regular expression of its normalizer, pre_tokenizer or decoder backtracks too much',
    });
  }
}
