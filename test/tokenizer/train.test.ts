import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8');
const shakespeare = join(import.meta.dirname, '../../../shared/data/tinyshakespeare.txt');

interface Trained {
  vocabSize: number;
  specialTokens: string[];
  size: number;
  merges: [string, string][];
}

describe("merges are those of Hugging Face's BpeTrainer, in the same order", () => {
  const text = fixture('text.txt');
  test.each(JSON.parse(fixture('merges.json')) as Trained[])(
    'vocabulary of $vocabSize with special tokens $specialTokens',
    ({ vocabSize, specialTokens, size, merges }) => {
      const tokenizer = trainTokenizer([text], { vocabSize, specialTokens });
      expect(tokenizer.merges).toEqual(merges);
      expect(tokenizer.vocabSize).toBe(size);
      expect(tokenizer.requestedVocabSize).toBe(vocabSize);
    },
  );

  test.skipIf(!existsSync(shakespeare))('tinyshakespeare (skipped without ../shared/data)', () => {
    const expected = JSON.parse(fixture('shakespeare.json')) as {
      vocabSize: number;
      size: number;
      merges: number;
      sha256: string;
    };
    const text = readFileSync(shakespeare, 'utf8');
    const { vocabSize, merges } = trainTokenizer([text], { vocabSize: expected.vocabSize });
    const listed = merges.map(([left, right]) => `${left} ${right}\n`).join('');
    expect([vocabSize, merges.length]).toEqual([expected.size, expected.merges]);
    expect(createHash('sha256').update(listed).digest('hex')).toBe(expected.sha256);
  });
});

test('special tokens take the first ids, then come the bytes', () => {
  const tokenizer = trainTokenizer(['a'], { vocabSize: 261 });
  expect([0, 1, 2, 3, 4, 5].map((id) => tokenizer.idToToken(id))).toEqual([
    '<|end|>',
    '<|pad|>',
    '<|system|>',
    '<|user|>',
    '<|assistant|>',
    '!',
  ]);
  expect([tokenizer.eosId, tokenizer.padId, tokenizer.bosId, tokenizer.prefixIds]).toEqual([0, 1, undefined, []]);
  expect(tokenizer.vocabSize).toBe(261);
});

test('a text without pairs gives a smaller vocabulary, and says what was asked for', () => {
  const tokenizer = trainTokenizer(['ab ab', 'c'], { vocabSize: 1000 });
  expect(tokenizer.merges).toEqual([
    ['a', 'b'],
    ['Ġ', 'ab'],
  ]);
  expect([tokenizer.vocabSize, tokenizer.requestedVocabSize]).toEqual([263, 1000]);
});

test('no text at all gives the bytes', () => {
  expect(trainTokenizer([], { vocabSize: 512 }).vocabSize).toBe(261);
});

test.each([
  [{ vocabSize: 260 }, /260 cannot hold 256 bytes and 5 special tokens[\s\S]*hint: use at least 261/],
  [{ vocabSize: 512.5 }, /512.5/],
  [{ vocabSize: 512, specialTokens: ['<a>', '<a>'] }, /repeated/],
  [{ vocabSize: 512, specialTokens: [''] }, /empty/],
])('refuses %j', (options, message) => {
  expect(() => trainTokenizer(['text'], options)).toThrow(RequestError);
  expect(() => trainTokenizer(['text'], options)).toThrow(message);
});

test('other special tokens: no end-of-sequence token and no chat template that would need one', () => {
  const tokenizer = trainTokenizer(['text'], { vocabSize: 300, specialTokens: ['<s>', '<|pad|>'] });
  expect([tokenizer.eosId, tokenizer.padId, tokenizer.chatTemplates.size]).toEqual([undefined, 1, 0]);
  expect(Array.from(tokenizer.encode('<s>'))).toEqual([0]);
});

test('the same text gives the same files', () => {
  const fingerprint = () => trainTokenizer([fixture('text.txt')], { vocabSize: 400 }).fingerprint;
  expect(fingerprint()).toBe(fingerprint());
});
