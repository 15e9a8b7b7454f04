import { BpeCodec, isPlainBpe } from './bpe-codec.ts';
import { byteSymbols, bytesOf, symbolsOf } from './byte-alphabet.ts';
import type { Component } from './components.ts';
import { digitsThenGpt2Split, gpt2Split, knownSplits, splitWords } from './splitting.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

/** Byte-level BPE as in GPT-2, Llama 3 and SmolLM2; undefined if the tokenizer.json describes anything else. */
export function byteLevelCodec(json: TokenizerJson): BpeCodec | undefined {
  const { model } = json;
  const pattern = wordPattern(json.pre_tokenizer);
  if (pattern === undefined || !isPlainBpe(model)) return undefined;
  const fits =
    !model.byte_fallback &&
    json.normalizer === null &&
    json.decoder?.type === 'ByteLevel' &&
    byteSymbols.every((symbol) => Object.hasOwn(model.vocab, symbol));
  if (!fits) return undefined;
  return new BpeCodec(json, model, {
    prefix: () => '',
    words: (piece) => splitWords(piece, pattern),
    symbols: (word, ids) => Int32Array.from(Buffer.from(word), (byte) => ids.get(byteSymbols[byte]!)!),
    entry: (word) => symbolsOf(Buffer.from(word)),
    bytes: bytesOf,
    stripsSpace: false,
  });
}

/** The regular expression that matches the words of a known pre-tokeniser. */
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
