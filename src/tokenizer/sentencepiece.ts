import { BpeCodec, isPlainBpe } from './bpe-codec.ts';
import type { Component } from './components.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

/** A space, as written in the vocabulary. */
const metaspace = '▁';

/** How spaces are treated before BPE. */
interface Spacing {
  prepend: 'always' | 'unlessSpace' | 'firstUnlessSpace' | 'never';
  /** Whether every space starts a word. */
  splits: boolean;
}

/**
 * BPE converted from SentencePiece with byte fallback, as in Llama 2, TinyLlama and Mistral: a space is `▁`, a space is
 * prepended, and a character that is not in the vocabulary becomes its UTF-8 bytes. The text is not split into words;
 * only if no token extends across the start of a space is it cut there. Undefined if the tokenizer.json describes
 * anything else.
 */
export function sentencePieceCodec(json: TokenizerJson): BpeCodec | undefined {
  const { model } = json;
  const spacing = spacingOf(json);
  if (spacing === undefined || !isPlainBpe(model)) return undefined;
  const { vocab } = model;
  const fits =
    model.byte_fallback === true &&
    isSentencePieceDecoder(json.decoder) &&
    Array.from({ length: 256 }, (_, byte) => byteToken(byte)).every((token) => Object.hasOwn(vocab, token));
  if (!fits) return undefined;
  const { prepend, splits } = spacing;
  const reachesOver = Object.keys(vocab).some((token) => /[^▁]▁/u.test(token));
  const pattern = splits ? / [^ ]*|[^ ]+/gu : reachesOver ? /[\s\S]+/gu : / *[^ ]+| +/gu;
  return new BpeCodec(json, model, {
    prefix: (text, start) => {
      const startsWithSpace = text.startsWith(' ') || text.startsWith(metaspace);
      const puts = prepend === 'always' || (prepend !== 'never' && !startsWithSpace);
      return puts && (prepend !== 'firstUnlessSpace' || start === 0) ? ' ' : '';
    },
    words: (piece) => piece.replaceAll(metaspace, ' ').match(pattern) ?? [],
    symbols: (word, ids) => {
      const symbols: number[] = [];
      for (const character of word) {
        const id = ids.get(character === ' ' ? metaspace : character);
        if (id !== undefined) symbols.push(id);
        else for (const byte of Buffer.from(character)) symbols.push(ids.get(byteToken(byte))!);
      }
      return Int32Array.from(symbols);
    },
    entry: (word) => word.replaceAll(' ', metaspace),
    bytes: (token) => {
      const byte = /^<0x([0-9A-F]{2})>$/.exec(token);
      return byte ? Buffer.of(Number.parseInt(byte[1]!, 16)) : Buffer.from(token.replaceAll(metaspace, ' '));
    },
    stripsSpace: (json.decoder!.decoders as Component[]).some(({ type }) => type === 'Strip'),
  });
}

const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

function spacingOf({
  normalizer,
  pre_tokenizer: preTokenizer,
  added_tokens: added,
}: TokenizerJson): Spacing | undefined {
  if (normalizer === null && preTokenizer?.type === 'Metaspace') return metaspaceSpacing(preTokenizer);
  if (normalizer?.type !== 'Sequence' || preTokenizer !== null) return undefined;
  const [first, second, ...more] = normalizer.normalizers as Component[];
  const fits =
    more.length === 0 &&
    first?.type === 'Prepend' &&
    first.prepend === metaspace &&
    second?.type === 'Replace' &&
    (second.pattern as { String?: string }).String === ' ' &&
    second.content === metaspace &&
    // The normaliser would also prepend `▁` to the text of a normalised added token.
    added.every(({ normalized, special }) => !(normalized ?? !special));
  return fits ? { prepend: 'always', splits: false } : undefined;
}

function metaspaceSpacing(component: Component): Spacing | undefined {
  if (component.replacement !== metaspace) return undefined;
  const prepend = { always: 'unlessSpace', first: 'firstUnlessSpace', never: 'never' } as const;
  const scheme = (component.prepend_scheme ?? 'always') as keyof typeof prepend;
  return { prepend: prepend[scheme], splits: component.split !== false };
}

function isSentencePieceDecoder(decoder: Component | null): boolean {
  if (decoder?.type !== 'Sequence') return false;
  const [replace, byteFallback, fuse, strip, ...more] = decoder.decoders as Component[];
  return (
    more.length === 0 &&
    replace?.type === 'Replace' &&
    (replace.pattern as { String?: string }).String === metaspace &&
    replace.content === ' ' &&
    byteFallback?.type === 'ByteFallback' &&
    fuse?.type === 'Fuse' &&
    (strip === undefined || (strip.type === 'Strip' && strip.content === ' ' && strip.start === 1 && strip.stop === 0))
  );
}
