import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/dataset.ts';
import { encodeText } from '../../src/data/encode.ts';
import { encodeConversations, encodePairs } from '../../src/data/preflight.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

const folder = fileURLToPath(new URL('../../../shared/data/', import.meta.url));

describe.skipIf(!existsSync(folder))('files of ../shared/data (skipped where it is not there)', () => {
  const inFolder = { baseDirectory: folder };
  let tokenizer: Tokenizer;

  beforeAll(async () => {
    const { rows } = await openDataset('tinyshakespeare.txt', 'text', inFolder);
    tokenizer = trainTokenizer(
      rows.map(({ text }) => text),
      { vocabSize: 1000 },
    );
  });

  it('encodes Alpaca so that the trained tokens are the answers', async () => {
    const { rows } = await openDataset('alpaca-sample.json', 'messages', inFolder);
    const { sequences, preflight } = encodeConversations(rows, tokenizer, { maxLength: 4096 });
    expect(preflight).toMatchObject({ rows: 999, keptRows: 999, untrained: [], withoutEnd: 0, boundaryMerges: 0 });
    for (const [index, { tokens, trained }] of sequences.entries()) {
      const answer = tokenizer.decode([...tokens].filter((_, i) => trained[i]));
      expect(answer).toBe(`${rows[index]!.messages[1]!.content}<|end|>`);
    }
  });

  it('encodes ShareGPT preference pairs of every shape in the file', async () => {
    const { rows } = await openDataset('preference-sharegpt-sample.json', 'preference', inFolder);
    expect(rows).toHaveLength(300);
    expect(rows.filter(({ prompt }) => prompt[0]?.role === 'system')).toHaveLength(80);
    const { pairs, preflight } = encodePairs(rows, tokenizer, { maxLength: 2048, onTooLong: 'drop' });
    expect(preflight.keptRows).toBe(300 - preflight.tooLong.length);
    expect(preflight.withoutEnd).toBe(0);
    const kept = rows.filter((_, index) => !preflight.tooLong.includes(index));
    for (const [index, { chosen, rejected }] of pairs.entries()) {
      const said = [chosen, rejected].map(({ tokens, trained }) =>
        tokenizer.decode([...tokens].filter((_, i) => trained[i])),
      );
      expect(said).toEqual([`${kept[index]!.chosen}<|end|>`, `${kept[index]!.rejected}<|end|>`]);
    }
  });

  it.each([
    ['commonsense-arc-easy-test.json', 2376, [3, 4, 5]],
    ['commonsense-arc-easy-train.json', 2251, [3, 4, 5]],
    ['commonsense-openbookqa-test.json', 500, [4]],
    ['commonsense-openbookqa-train.json', 4957, [4]],
    ['commonsense-boolq-test.json', 3270, [2]],
  ])('takes the choices out of %s', async (file, count, sizes) => {
    const { rows } = await openDataset(file, 'choice', inFolder);
    expect(rows).toHaveLength(count);
    expect([...new Set(rows.map(({ choices }) => choices.length))].sort().every((size) => sizes.includes(size))).toBe(
      true,
    );
    for (const { prompt, choices } of rows) {
      expect(prompt[0]!.content).not.toMatch(/Answer\d: |Answer format|Please/);
      expect(choices.every((choice) => choice !== '' && !/Answer\d: /.test(choice))).toBe(true);
    }
  });

  it('holds out the last twentieth of every book, and nothing is lost', async () => {
    const whole = await openDataset('books', 'text', inFolder);
    const train = await openDataset('books', 'text', { ...inFolder, holdOut: 0.05 });
    const test = await openDataset('books', 'text', { ...inFolder, holdOut: 0.05, split: 'test' });
    expect(whole.rows).toHaveLength(32);
    for (const [index, { text }] of whole.rows.entries()) {
      const held = test.rows[index]!.text;
      expect(`${train.rows[index]!.text}${held}` === text).toBe(true);
      expect(Math.abs(held.length / text.length - 0.05)).toBeLessThan(0.005);
      expect(train.rows[index]!.text.endsWith('\n\n')).toBe(true);
    }
  });

  it('predicts each token of web documents once', async () => {
    const { rows } = await openDataset('c4-sample.jsonl', 'text', inFolder);
    const pieces = encodeText(rows, tokenizer, { length: 256 }).flat();
    const predictions = pieces.reduce((sum, { trained }) => sum + trained.reduce((a, b) => a + b, 0), 0);
    expect(predictions).toBe(rows.reduce((sum, { text }) => sum + tokenizer.encode(text).length, 0));
  });
});
