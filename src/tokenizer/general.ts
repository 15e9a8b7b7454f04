import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { RequestError } from '../errors.ts';
import { alignTokens, unknownSurface } from './alignment.ts';
import type { Codec } from './codec.ts';
import { tokenSurface } from './surfaces.ts';
import type { TokenizerConfig, TokenizerJson } from './tokenizer-json.ts';

/**
 * Any tokenizer.json that `@huggingface/tokenizers` can read (SentencePiece-style BPE, Unigram, WordPiece …). Offsets
 * are found afterwards by aligning what each token stands for with the text.
 */
export function generalCodec(json: TokenizerJson, config: TokenizerConfig): Codec {
  const tokenizer = openHuggingFaceTokenizer(json, config);
  const added = new Set(json.added_tokens.map(({ id }) => id));
  const special = new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id));
  const idToToken = (id: number) => tokenizer.id_to_token(id);
  const encode = (text: string) =>
    text === '' ? new Int32Array() : Int32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids);
  const unknown = json.model.unk_id ?? tokenizer.token_to_id(String(json.model.unk_token));
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
      return known.length === 0 ? '' : tokenizer.decode(known, { clean_up_tokenization_spaces: false });
    },
    tokenToId: (token) => tokenizer.token_to_id(token),
    idToToken,
  };
}

function openHuggingFaceTokenizer(json: TokenizerJson, config: TokenizerConfig): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(json, { ...config, clean_up_tokenization_spaces: false });
  } catch (error) {
    throw new RequestError({
      message: `cannot be used: ${(error as Error).message}`,
      where: 'tokenizer.json',
      hint: 'it must be a file that Hugging Face’s tokenizers load; copy it again, or convert the tokenizer with transformers',
    });
  }
}
