import { describe, expect, test } from 'vitest';
import { encodeScoredText } from '../../src/data/scored-text.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { pieceTokenizer } from './piece-tokenizer.ts';

const pieces = ['<s>', '</s>', ' yes', 'ab'];
const plain = pieceTokenizer(pieces, { bos: '<s>', eos: '</s>' });

function parts(context: string, continuation: string, tokenizer: Tokenizer): [before: string, scored: string] {
  const { tokens, trained } = encodeScoredText({ context, continuation }, tokenizer);
  const first = trained.indexOf(1);
  expect([...trained]).toEqual([...tokens].map((_, i) => Number(first >= 0 && i >= first)));
  return first < 0
    ? [tokenizer.decode(tokens), '']
    : [tokenizer.decode(tokens.subarray(0, first)), tokenizer.decode(tokens.subarray(first))];
}

describe('a continuation', () => {
  test('is scored after its context', () => {
    expect(parts('Is it?', ' yes', plain)).toEqual(['Is it?', ' yes']);
  });

  test('has the spaces at the end of the context, whose tokens they may change', () => {
    expect(parts('Is it? ', 'yes', plain)).toEqual(['Is it?', ' yes']);
  });

  test('has as many tokens as both together have more than the context alone', () => {
    // `a` and `b` are one token together and one each, so nothing is left to be scored.
    expect(parts('a', 'b', plain)).toEqual(['a', '']);
    expect(parts('a', 'bc', plain)).toEqual(['a', 'c']);
  });

  test('follows the beginning of a text, once, where the tokenizer puts one there', () => {
    const adding = pieceTokenizer(pieces, { bos: '<s>', eos: '</s>', addsBos: true });
    expect(parts('Is it?', ' yes', adding)).toEqual(['<s>Is it?', ' yes']);
    expect(parts('<s>Is it?', ' yes', adding)).toEqual(['<s>Is it?', ' yes']);
  });

  test.each<[string, Parameters<typeof pieceTokenizer>[1], [string, string]]>([
    ['beginning-of-sequence token', { bos: '<s>', eos: '</s>' }, ['<s>', ' yes!']],
    ['end-of-sequence token, if there is no other', { eos: '</s>' }, ['</s>', ' yes!']],
    ['first token of its own, if there is none', {}, [' yes', '!']],
  ])('without a context is scored after the %s', (_, options, expected) => {
    const tokenizer = pieceTokenizer(pieces, options);
    expect(parts('', ' yes!', tokenizer)).toEqual(expected);
    expect(parts('  ', 'x', pieceTokenizer(pieces, { bos: '<s>' }))).toEqual(['<s>', '  x']);
  });

  test('that begins with that token is scored from the next one on', () => {
    expect(parts('', '<s>x', plain)).toEqual(['<s>', 'x']);
  });
});
