import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { hardTexts, randomTexts } from './hard-texts.ts';
import { comparableSpan, inOrder, oracle, uncovered } from './oracle.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
const lines = fixture('text.txt').match(/[^\n]*\n/g)!;
const texts = [...hardTexts, ...randomTexts(1000, 1), ...lines];

function llama2WithNormalizedWord(): string {
  const json = JSON.parse(fixture('llama2.json'));
  const id = Object.keys(json.model.vocab).length;
  const flags = { single_word: false, lstrip: true, rstrip: true, normalized: true, special: false };
  json.added_tokens.push({ id, content: '<tool>', ...flags });
  return JSON.stringify(json);
}

const isUnknown = (token: string) => token === '<unk>' || token === '[UNK]';

/** Each with the share of texts, among those without an unknown token, whose spans may differ from the oracle's. */
const kinds: [name: string, json: string, mayDiffer: number][] = [
  ['Llama 2 with an added word that the normaliser touches', llama2WithNormalizedWord(), 0.001],
  ['Qwen 2, NFC', fixture('qwen2.json'), 0.001],
  ['Unigram, NFKC, lower case', fixture('unigram.json'), 0.02],
  ['WordPiece, BERT', fixture('wordpiece.json'), 0.06],
  // Rust gives each byte the span of all unknown characters in a row; here it has that of its own character.
  ['Unigram with byte fallback', fixture('unigram-bytes.json'), 0.7],
  ['Gemma, spaces merged with what stands before them', fixture('gemma.json'), 0.001],
];

describe.each(kinds)('%s', (_, json, mayDiffer) => {
  let tokenizer: Tokenizer;
  let expected: Awaited<ReturnType<typeof oracle>>;
  beforeAll(async () => {
    tokenizer = openTokenizer(new Map([['tokenizer.json', Buffer.from(json)]]));
    expected = await oracle(json);
  });

  test('ids of the Rust tokenizer', async () => {
    for (const text of texts) {
      expect({ text, ids: Array.from(tokenizer.encode(text)) }).toEqual({ text, ids: (await expected(text)).ids });
    }
  });

  test('offsets of the Rust tokenizer where no token is unknown', async () => {
    let compared = 0;
    const different: string[] = [];
    for (const text of texts) {
      const { ids, offsets } = await expected(text);
      const tokens = ids.map((id) => tokenizer.idToToken(id)!);
      if (tokens.some(isUnknown)) continue;
      compared++;
      const spans = (offsets: ArrayLike<number>) =>
        tokens.map((token, i) => comparableSpan(text, token, offsets[2 * i]!, offsets[2 * i + 1]!)).join(' ');
      if (spans(tokenizer.encodeWithOffsets(text).offsets) !== spans(offsets)) different.push(text);
    }
    expect(compared).toBeGreaterThan(100);
    expect(different.length / compared, different.join('\n')).toBeLessThan(mayDiffer);
  });

  test('spans stay in order and in the text; where no token is unknown, only spaces and marks are left out', () => {
    for (const text of texts) {
      const { ids, offsets } = tokenizer.encodeWithOffsets(text);
      expect(offsets.length).toBe(2 * ids.length);
      expect({ text, inOrder: inOrder(text, offsets) }).toEqual({ text, inOrder: true });
      if (Array.from(ids, (id) => tokenizer.idToToken(id)!).some(isUnknown)) continue;
      const left = uncovered(text, offsets);
      expect({ text, left }).toEqual({ text, left: expect.stringMatching(/^[\p{White_Space}\p{M}\p{C}]*$/u) });
    }
  });
});

test('decoding gives the text back where nothing is normalised away', () => {
  const tokenizer = openTokenizer(new Map([['tokenizer.json', Buffer.from(fixture('qwen2.json'))]]));
  for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.normalize('NFC'));
  expect(tokenizer.decode([])).toBe('');
  expect(tokenizer.decode([1_000_000])).toBe('');
});
