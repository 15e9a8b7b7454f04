import { describe, expect, test } from 'vitest';
import { checkContext } from '../../src/data/context.ts';
import { checkSequences } from '../../src/data/encode.ts';
import { pieceTokenizer } from './piece-tokenizer.ts';

describe('a model’s context', () => {
  test('takes texts as long as it is, with what is generated', () => {
    expect(() => checkContext([3, 64], 64)).not.toThrow();
    expect(() => checkContext([3, 32], 64, { newTokens: 32 })).not.toThrow();
  });

  test('refuses longer ones, with their numbers and the longest', () => {
    expect(() => checkContext([3, 65, 64, 466], 64)).toThrow(
      "2 of 4 texts (2, 4) have up to 466 tokens, but the model's context is 64",
    );
    expect(() => checkContext(Array(9).fill(70), 64)).toThrow('9 of 9 texts (1, 2, 3, 4, 5, …)');
    expect(() => checkContext([5, 40], 64, { newTokens: 32, where: 'prompts', hint: 'ask less' })).toThrow(
      /prompts: 1 of 2 prompts \(2\) have up to 40 tokens and up to 32 more are generated.*\n.*ask less/,
    );
    expect(() => checkContext([40], 64, { newTokens: 32 })).toThrow('the prompt has 40 tokens and up to 32 more');
  });

  test('holds for sequences that are trained or scored, behind their ids', () => {
    const tokenizer = pieceTokenizer([]);
    const sequence = { tokens: new Int32Array(65), trained: new Uint8Array(65) };
    expect(() => checkSequences([sequence], tokenizer, { vocabSize: 128, maxLength: 65 })).not.toThrow();
    expect(() => checkSequences([sequence], tokenizer, { vocabSize: 128, maxLength: 64 })).toThrow(
      /the text has 65 tokens, but the model's context is 64\n.*set maxLength to 64/,
    );
    expect(() => checkSequences([sequence], tokenizer, { vocabSize: 100, maxLength: 64 })).toThrow('128 tokens');
  });
});
