import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { byteLevelCodec } from '../../src/tokenizer/byte-level.ts';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { parseTokenizerJson } from '../../src/tokenizer/tokenizer-json.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { hardTexts, randomTexts } from './hard-texts.ts';
import { inOrder, oracle, uncovered } from './oracle.ts';

const text = readFileSync(join(import.meta.dirname, 'fixtures/text.txt'), 'utf8');
const trained = trainTokenizer([text], { vocabSize: 1200 });

const vocab = Object.fromEntries(Array.from({ length: trained.vocabSize }, (_, id) => [trained.idToToken(id)!, id]));
const added = (id: number, content: string, flags: object = {}) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...flags,
});
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: true };
const cl100k = (digits: string) => ({
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      pattern: {
        Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
      },
      behavior: 'Isolated',
      invert: false,
    },
    { ...byteLevel, use_regex: false },
  ],
});

/** A tokenizer.json over the trained merges. */
function tokenizerJson(parts: {
  pre_tokenizer: object;
  added_tokens?: object[];
  ignore_merges?: boolean;
  merges?: unknown;
}) {
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: parts.added_tokens ?? [added(0, '<|end|>'), added(3, '<|user|>'), added(4, '<|assistant|>')],
    normalizer: null,
    pre_tokenizer: parts.pre_tokenizer,
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
      ignore_merges: parts.ignore_merges ?? false,
      vocab,
      merges: parts.merges ?? trained.merges,
    },
  });
}

const kinds: Record<string, string> = {
  'GPT-2': tokenizerJson({ pre_tokenizer: byteLevel }),
  'GPT-2 with merges as strings': tokenizerJson({
    pre_tokenizer: byteLevel,
    merges: trained.merges.map((pair) => pair.join(' ')),
  }),
  'Llama 3': tokenizerJson({ pre_tokenizer: cl100k('\\p{N}{1,3}'), ignore_merges: true }),
  'Qwen 2 without a normaliser': tokenizerJson({ pre_tokenizer: cl100k('\\p{N}') }),
  SmolLM2: tokenizerJson({
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel] },
  }),
  'added words that strip, stand alone, overlap': tokenizerJson({
    pre_tokenizer: byteLevel,
    added_tokens: [
      added(0, '<|end|>', { rstrip: true }),
      added(1200, '<tool>', { special: false, normalized: true, lstrip: true, rstrip: true }),
      added(1201, 'wort', { special: false, normalized: true, single_word: true }),
      added(1202, 'wort.', { special: false, normalized: false }),
      added(1203, '<|end|><|end|>'),
      added(1204, 'fox $^[quick]', { special: false }),
    ],
  }),
};

describe.each(Object.entries(kinds))('%s', (_, json) => {
  let tokenizer: Tokenizer;
  let expected: Awaited<ReturnType<typeof oracle>>;
  beforeAll(async () => {
    expect(byteLevelCodec(parseTokenizerJson(Buffer.from(json)))).toBeDefined();
    tokenizer = openTokenizer(new Map([['tokenizer.json', Buffer.from(json)]]));
    expected = await oracle(json);
  });

  test.each([
    ['texts on which tokenizers differ', hardTexts],
    ['1,500 random strings', randomTexts(1500, 1)],
    ['its training text', [text]],
  ])('ids and offsets of the Rust tokenizer on %s', async (_, texts) => {
    for (const text of texts) {
      const { ids, offsets } = await expected(text);
      const encoding = tokenizer.encodeWithOffsets(text);
      expect({ text, ids: Array.from(encoding.ids), offsets: Array.from(encoding.offsets) }).toEqual({
        text,
        ids,
        offsets,
      });
      expect(tokenizer.encode(text)).toEqual(encoding.ids);
    }
  });

  test('spans cover the text without a gap', () => {
    for (const text of [...hardTexts, ...randomTexts(500, 3)]) {
      const { offsets } = tokenizer.encodeWithOffsets(text);
      expect({ text, uncovered: uncovered(text, offsets), inOrder: inOrder(text, offsets) }).toEqual({
        text,
        uncovered: '',
        inOrder: true,
      });
    }
  });
});

test.each(Object.entries(kinds).filter(([, json]) => !json.includes('"rstrip":true')))(
  '%s: decoding gives the text back',
  (_, json) => {
    const tokenizer = openTokenizer(new Map([['tokenizer.json', Buffer.from(json)]]));
    for (const text of [...hardTexts, ...randomTexts(500, 2)]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  },
);
