import { expect, test } from 'vitest';
import type { GeneratedToken } from '../../src/generation/request.ts';
import { type GeneratedText, textPieces } from '../../src/generation/text.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

const tokenizer = trainTokenizer(['the cat sat on the mat'], { vocabSize: 270 });

async function read(
  ids: ArrayLike<number>,
  end?: GeneratedToken['end'],
): Promise<{ pieces: string[]; result: GeneratedText }> {
  async function* stream(): AsyncGenerator<GeneratedToken> {
    for (let i = 0; i < ids.length; i++) yield { id: ids[i]!, ...(end && i === ids.length - 1 && { end }) };
  }
  const all = textPieces(stream(), tokenizer);
  const pieces: string[] = [];
  for (;;) {
    const { done, value } = await all.next();
    if (done) return { pieces, result: value };
    pieces.push(value);
  }
}

test('a character is shown as soon as its last byte is there', async () => {
  const ids = tokenizer.encode('ö👍x');
  expect(ids).toHaveLength(7);
  expect((await read(ids)).pieces).toEqual(['ö', '👍', 'x']);
  expect(await read(ids, 'length')).toEqual({
    pieces: ['ö', '👍', 'x'],
    result: { text: 'ö👍x', tokens: [...ids], ended: false },
  });
});

test('bytes that make no character are shown where nothing more can come, and the end token is not', async () => {
  const [eos, ids] = [tokenizer.eosId!, tokenizer.encode('cat👍').subarray(0, -1)];
  const cut = await read(ids, 'length');
  expect(cut.pieces.join('')).toBe('cat\ufffd');
  expect(cut.result.text).toBe('cat\ufffd');
  const ended = await read([...ids, eos], 'stop');
  expect(ended.pieces.join('')).toBe('cat\ufffd');
  expect(ended.result).toEqual({ text: 'cat\ufffd', tokens: [...ids], ended: true });
  expect((await read(ids)).pieces.join('')).toBe('cat');
});
