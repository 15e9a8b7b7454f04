import { RequestError } from '../errors.ts';
import { learnMerges } from './bpe-trainer.ts';
import { byteSymbols, symbolsOf } from './byte-alphabet.ts';
import type { TokenizerFiles } from './files.ts';
import { openTokenizer } from './open.ts';
import { defaultChatTemplate, specialTokens as defaultSpecialTokens } from './special-tokens.ts';
import { gpt2Split, splitWords } from './splitting.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TrainedTokenizer extends Tokenizer {
  /** The vocabulary size that was requested; `vocabSize` is smaller if the text ran out of pairs to merge. */
  readonly requestedVocabSize: number;
  /** The learned merges, in order. */
  readonly merges: readonly (readonly [left: string, right: string])[];
}

/**
 * Trains a byte-level BPE tokenizer with GPT-2's split, all 256 bytes, and special tokens with the ids from 0. The
 * merges and their order are those of Hugging Face's `BpeTrainer(vocab_size, special_tokens,
 * initial_alphabet=ByteLevel.alphabet())`, and the files only depend on the texts. The end-of-sequence token, the
 * padding token and the chat template are set if `specialTokens` contains the tokens that they need.
 * @throws RequestError if `vocabSize` is too small, or a special token is empty or repeated
 */
export function trainTokenizer(
  texts: Iterable<string>,
  {
    vocabSize,
    specialTokens = Object.values(defaultSpecialTokens),
  }: { vocabSize: number; specialTokens?: readonly string[] },
): TrainedTokenizer {
  checkRequest(vocabSize, specialTokens);
  const alphabet = [...byteSymbols].sort().filter((symbol) => !specialTokens.includes(symbol));
  const tokens = [...specialTokens, ...alphabet];
  const merges = learnMerges(countWords(texts), tokens, vocabSize).map(
    ([left, right]) => [tokens[left]!, tokens[right]!] as const,
  );
  const tokenizer = openTokenizer(tokenizerFiles(tokens, merges, specialTokens));
  return { ...tokenizer, requestedVocabSize: vocabSize, merges };
}

function checkRequest(vocabSize: number, specialTokens: readonly string[]): void {
  const least = byteSymbols.length + specialTokens.length;
  if (!Number.isInteger(vocabSize) || vocabSize < least) {
    throw new RequestError({
      message: `a vocabulary of ${vocabSize} cannot hold 256 bytes and ${specialTokens.length} special tokens`,
      where: 'vocabSize',
      hint: `use at least ${least}, and more for tokens longer than a byte; 512 to 32,000 is usual`,
    });
  }
  if (specialTokens.includes('') || new Set(specialTokens).size < specialTokens.length) {
    throw new RequestError({
      message: `${JSON.stringify(specialTokens)} contains an empty or repeated token`,
      where: 'specialTokens',
      hint: 'name each special token once',
    });
  }
}

/** How often each word occurs, as byte symbols, in the order of first occurrence. */
function countWords(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of splitWords(text, gpt2Split)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const encoder = new TextEncoder();
  return new Map(Array.from(counts, ([word, count]) => [symbolsOf(encoder.encode(word)), count]));
}

function tokenizerFiles(
  tokens: readonly string[],
  merges: TrainedTokenizer['merges'],
  specialTokens: readonly string[],
): TokenizerFiles {
  const encode = (value: object) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  return new Map([
    ['tokenizer.json', encode(tokenizerJson(tokens, merges, specialTokens))],
    ['tokenizer_config.json', encode(tokenizerConfig(specialTokens))],
  ]);
}

/** The content of tokenizer.json, as the Rust library writes it. */
function tokenizerJson(
  tokens: readonly string[],
  merges: TrainedTokenizer['merges'],
  specialTokens: readonly string[],
): object {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

/** Without `model_input_names`, transformers would pass `token_type_ids` to models that do not accept them. */
function tokenizerConfig(specialTokens: readonly string[]): object {
  const { end, pad, system, user, assistant } = defaultSpecialTokens;
  const has = (...needed: string[]) => needed.every((token) => specialTokens.includes(token));
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    model_input_names: ['input_ids', 'attention_mask'],
    ...(has(end) && { eos_token: end }),
    ...(has(pad) && { pad_token: pad }),
    ...(has(end, system, user, assistant) && { chat_template: defaultChatTemplate }),
  };
}
