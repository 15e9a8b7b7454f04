import { RequestError } from '../errors.ts';
import { addedTokenSplitter } from './added-tokens.ts';
import { byteSymbols, bytesOf, symbolsOf } from './byte-alphabet.ts';
import type { Codec } from './codec.ts';
import { bpeMerger, type Merge } from './merges.ts';
import { byteSpans } from './spans.ts';
import { digitsThenGpt2Split, gpt2Split, knownSplits, splitWords } from './splitting.ts';
import type { Encoding } from './tokenizer.ts';
import type { Component, TokenizerJson } from './tokenizer-json.ts';

const cachedWords = 1 << 16;
/** Longer words are rare, and would make the cache's size unpredictable. */
const longestCachedWord = 128;

/**
 * Byte-level BPE as in GPT-2, Llama 3 and SmolLM2: about ten times the speed of the general tokenizer, with exact
 * offsets. Undefined where the tokenizer.json has any other shape.
 */
export function byteLevelCodec(json: TokenizerJson): Codec | undefined {
  const pattern = wordPattern(json.pre_tokenizer);
  const { model } = json;
  const plain =
    (model.type ?? 'BPE') === 'BPE' &&
    Array.isArray(model.merges) &&
    !Array.isArray(model.vocab) &&
    !model.dropout &&
    !model.continuing_subword_prefix &&
    !model.end_of_word_suffix &&
    !model.byte_fallback &&
    byteSymbols.every((symbol) => Object.hasOwn(model.vocab, symbol));
  if (pattern === undefined || !plain || json.normalizer !== null || json.decoder?.type !== 'ByteLevel')
    return undefined;
  return new ByteLevelCodec(json, pattern);
}

/** The split of the known pre-tokenisers. */
function wordPattern(preTokenizer: Component | null): RegExp | undefined {
  if (preTokenizer === null) return undefined;
  if (preTokenizer.type === 'ByteLevel') return isByteLevel(preTokenizer, true) ? gpt2Split : undefined;
  const steps = preTokenizer.pretokenizers;
  if (preTokenizer.type !== 'Sequence' || !Array.isArray(steps) || steps.length !== 2) return undefined;
  const [first, second] = steps as [Component, Component];
  if (first.type === 'Digits' && first.individual_digits === true && isByteLevel(second, true)) {
    return digitsThenGpt2Split;
  }
  const isolates = first.type === 'Split' && first.behavior === 'Isolated' && !first.invert;
  if (!isolates || !isByteLevel(second, false)) return undefined;
  return knownSplits.get((first.pattern as { Regex?: string } | undefined)?.Regex ?? '');
}

function isByteLevel(component: Component, useRegex: boolean): boolean {
  return (
    component.type === 'ByteLevel' && component.add_prefix_space === false && (component.use_regex ?? true) === useRegex
  );
}

class ByteLevelCodec implements Codec {
  readonly vocabSize: number;
  readonly #pattern: RegExp;
  readonly #ids: Map<string, number>;
  readonly #tokens: (string | undefined)[] = [];
  /** The bytes of each token; an added token stands for its own text. */
  readonly #bytes: (Uint8Array | undefined)[] = [];
  readonly #special: ReadonlySet<number>;
  readonly #byteIds: Int32Array;
  readonly #merge: (symbols: Int32Array) => Int32Array;
  readonly #wholeWords: boolean;
  readonly #split: ReturnType<typeof addedTokenSplitter>;
  readonly #cache = new Map<string, Int32Array>();
  readonly #encoder = new TextEncoder();

  constructor(json: TokenizerJson, pattern: RegExp) {
    this.#pattern = pattern;
    this.#ids = new Map(Object.entries(json.model.vocab as Record<string, number>));
    this.#byteIds = Int32Array.from(byteSymbols, (symbol) => this.#ids.get(symbol)!);
    this.#merge = bpeMerger(mergesById(json.model.merges as unknown[], this.#ids));
    this.#wholeWords = json.model.ignore_merges === true;
    for (const [token, id] of this.#ids) this.#define(id, token, bytesOf(token));
    for (const { content, id } of json.added_tokens) {
      this.#ids.set(content, id);
      this.#define(id, content, this.#encoder.encode(content));
    }
    this.vocabSize = this.#tokens.length;
    this.#special = new Set(json.added_tokens.filter(({ special }) => special).map(({ id }) => id));
    this.#split = addedTokenSplitter(json.added_tokens);
  }

  #define(id: number, token: string, bytes: Uint8Array): void {
    this.#tokens[id] = token;
    this.#bytes[id] = bytes;
  }

  encode(text: string): Int32Array {
    const ids: number[] = [];
    for (const { start, end, id } of this.#split(text)) {
      if (id !== undefined) ids.push(id);
      else
        for (const word of splitWords(text.slice(start, end), this.#pattern))
          for (const token of this.#word(word)) ids.push(token);
    }
    return Int32Array.from(ids);
  }

  encodeWithOffsets(text: string): Encoding {
    const ids: number[] = [];
    const offsets: number[] = [];
    for (const { start, end, id } of this.#split(text)) {
      if (id !== undefined) {
        ids.push(id);
        offsets.push(start, end);
        continue;
      }
      let at = start;
      for (const word of splitWords(text.slice(start, end), this.#pattern)) {
        const tokens = this.#word(word);
        for (const token of tokens) ids.push(token);
        this.#pushSpans(word, at, tokens, offsets);
        at += word.length;
      }
    }
    return { ids: Int32Array.from(ids), offsets: Int32Array.from(offsets) };
  }

  /** A token that begins or ends inside a character spans the whole character. */
  #pushSpans(word: string, at: number, tokens: Int32Array, offsets: number[]): void {
    const lengths = Array.from(tokens, (token) => this.#bytes[token]!.length);
    const { starts, ends } = byteSpans(word);
    let byte = 0;
    for (const length of lengths) {
      offsets.push(at + starts[byte]!, at + ends[byte + length - 1]!);
      byte += length;
    }
  }

  #word(word: string): Int32Array {
    const cached = this.#cache.get(word);
    if (cached !== undefined) return cached;
    const bytes = this.#encoder.encode(word);
    const tokens = this.#mergeBytes(bytes);
    if (word.length <= longestCachedWord) {
      if (this.#cache.size >= cachedWords) this.#cache.clear();
      this.#cache.set(ownCopy(word, bytes), tokens);
    }
    return tokens;
  }

  #mergeBytes(bytes: Uint8Array): Int32Array {
    const whole = this.#wholeWords ? this.#ids.get(symbolsOf(bytes)) : undefined;
    if (whole !== undefined) return Int32Array.of(whole);
    return this.#merge(Int32Array.from(bytes, (byte) => this.#byteIds[byte]!));
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false } = {}): string {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      const bytes = this.#bytes[id];
      if (bytes !== undefined && !(skipSpecialTokens && this.#special.has(id))) parts.push(bytes);
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(parts));
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }
}

/** A slice of a string keeps the whole string alive in V8; a cached word must not keep its document. */
function ownCopy(word: string, bytes: Uint8Array): string {
  return word.length < 13 ? word : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** Merges are written as "left right" or as [left, right]. */
function mergesById(merges: readonly unknown[], ids: ReadonlyMap<string, number>): Merge[] {
  return merges.map((merge, index) => {
    const [left, right] = (typeof merge === 'string' ? merge.split(' ') : merge) as [string, string];
    const found = [ids.get(left), ids.get(right), ids.get(left + right)];
    if (!found.includes(undefined)) return found as unknown as Merge;
    throw new RequestError({
      message: `merge ${index} (${JSON.stringify(merge)}) names a token that the vocabulary does not hold`,
      where: 'tokenizer.json.model.merges',
      hint: 'vocabulary and merges must come from the same tokenizer; copy the file again',
    });
  });
}
