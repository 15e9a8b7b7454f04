import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import { sentencePieceCodec } from '../../src/tokenizer/sentencepiece.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { parseTokenizerJson } from '../../src/tokenizer/tokenizer-json.ts';
import { hardTexts, randomTexts } from './hard-texts.ts';
import { comparableSpan, inOrder, oracle, uncovered } from './oracle.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
const corpus = fixture('text.txt');
const texts = [...hardTexts, ...randomTexts(1500, 1), corpus];

const withMetaspace = (scheme: string, split: boolean) =>
  JSON.stringify({
    ...JSON.parse(fixture('metaspace.json')),
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split },
  });

/** Has a merge that reaches over the place before a space, so that the text cannot be cut there. */
function withMergeOverSpaces(): string {
  const json = JSON.parse(fixture('llama2.json'));
  const id = Object.keys(json.model.vocab).length;
  Object.assign(json.model.vocab, { 'n▁': id, 'n▁t': id + 1 });
  json.model.merges.unshift(['n', '▁'], ['n▁', 't']);
  return JSON.stringify(json);
}

const kinds: Record<string, string> = {
  'Llama 2': fixture('llama2.json'),
  'Llama 2 with a merge over spaces': withMergeOverSpaces(),
  'Metaspace in front of the text': fixture('metaspace.json'),
  'Metaspace in front of each piece, split at spaces': withMetaspace('always', true),
  'Metaspace without one in front': withMetaspace('never', false),
};

describe.each(Object.entries(kinds))('%s', (_, json) => {
  let tokenizer: Tokenizer;
  let expected: Awaited<ReturnType<typeof oracle>>;
  beforeAll(async () => {
    expect(sentencePieceCodec(parseTokenizerJson(Buffer.from(json)))).toBeDefined();
    tokenizer = openTokenizer(new Map([['tokenizer.json', Buffer.from(json)]]));
    expected = await oracle(json);
  });

  test('ids and offsets of the Rust tokenizer', async () => {
    for (const text of texts) {
      const { ids, offsets } = await expected(text);
      const encoding = tokenizer.encodeWithOffsets(text);
      expect({ text, ids: Array.from(encoding.ids) }).toEqual({ text, ids });
      expect(tokenizer.encode(text)).toEqual(encoding.ids);
      const spans = (offsets: ArrayLike<number>) =>
        ids.map((id, i) => comparableSpan(text, tokenizer.idToToken(id)!, offsets[2 * i]!, offsets[2 * i + 1]!));
      expect({ text, spans: spans(encoding.offsets) }).toEqual({ text, spans: spans(offsets) });
    }
  });

  test('spans cover the text without a gap', () => {
    for (const text of texts) {
      const { offsets } = tokenizer.encodeWithOffsets(text);
      expect({ text, uncovered: uncovered(text, offsets), inOrder: inOrder(text, offsets) }).toEqual({
        text,
        uncovered: '',
        inOrder: true,
      });
    }
  });
});

test('decoding gives a text back, byte-order mark and emoji included', () => {
  const tokenizer = openTokenizer(new Map([['tokenizer.json', Buffer.from(kinds['Llama 2']!)]]));
  for (const text of texts) {
    // A space is put in front of each piece between special tokens, and ▁ reads as a space.
    if (/▁|<s>|<unk>/.test(text)) continue;
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }
});

test('a megabyte that cannot be cut into words', () => {
  const tokenizer = openTokenizer(
    new Map([['tokenizer.json', Buffer.from(kinds['Llama 2 with a merge over spaces']!)]]),
  );
  const text = corpus.repeat(60);
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
});
