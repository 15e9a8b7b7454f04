import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import { encodeChoices } from '../../src/data/encode.ts';
import type { ChoiceRow } from '../../src/data/rows.ts';
import { answerPrompts, exactMatch } from '../../src/evaluation/exact-match.ts';
import { askPlainly, multipleChoice } from '../../src/evaluation/multiple-choice.ts';
import { perplexity } from '../../src/evaluation/perplexity.ts';
import { parseTasks, runTasks, type TaskResults } from '../../src/evaluation/tasks.ts';
import { scoreTexts } from '../../src/evaluation/text-scores.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { type Model, releaseModel } from '../../src/model/model.ts';
import { readModel } from '../../src/model/weights.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { meanLoss } from '../../src/training/language-model.ts';
import { logLikelihoods } from '../../src/training/sequence-log-probs.ts';
import { pre } from '../checkpoint/made-models.ts';
import { temporaryFolder } from '../checkpoint/temporary.ts';
import { pieceTokenizer } from '../data/piece-tokenizer.ts';

const pieces = ['<s>', '</s>', '😀'];
const plain = pieceTokenizer(pieces, { bos: '<s>', eos: '</s>' });
const withBos = pieceTokenizer(pieces, { bos: '<s>', eos: '</s>', addsBos: true });
const config = { ...pre, vocabSize: plain.vocabSize, maxLength: 40 };

let backend: Backend;
let model: Model;
beforeAll(async () => {
  ({ backend } = await openBackend({ backend: 'portable' }));
  model = await initialiseModel(config, backend, 1);
});
afterAll(async () => {
  releaseModel(model);
  await backend.dispose();
});

const plainChoice = (model: Model, tokenizer: Tokenizer, rows: readonly ChoiceRow[]) =>
  multipleChoice(model, tokenizer, rows, askPlainly(rows, tokenizer), ['accuracy', 'accuracyBySum']);

describe('the perplexity of texts', () => {
  const trained = (text: string, from = 1) => {
    const tokens = plain.encode(text);
    return { tokens, trained: new Uint8Array(tokens.length).fill(1, from) };
  };

  test('scores every token once after the beginning-of-sequence token, which stands there once', async () => {
    const texts = ['abcdef', '<s>ghi', 'jk', ''].map((text) => ({ text }));
    const { loss, tokens } = await meanLoss(
      model,
      ['<s>abcdef', '<s>ghi', '<s>jk'].map((text) => trained(text)),
    );
    for (const tokenizer of [plain, withBos]) {
      const { metrics } = await perplexity(model, tokenizer, texts, { window: 20 });
      expect([metrics.tokens, tokens]).toEqual([11, 11]);
      expect(metrics.loss).toBeCloseTo(loss, 5);
      expect(metrics.perplexity).toBe(Math.exp(metrics.loss!));
    }
  });

  test('begins after the end-of-sequence token where there is no other, and scores no first token without either', async () => {
    const withEos = pieceTokenizer(pieces, { eos: '</s>' });
    const { loss } = await meanLoss(model, [trained('</s>abc')]);
    expect((await perplexity(model, withEos, [{ text: 'abc' }], { window: 20 })).metrics.loss).toBeCloseTo(loss, 5);
    const bare = pieceTokenizer(pieces, {});
    expect((await perplexity(model, bare, [{ text: 'abc' }], { window: 20 })).metrics.tokens).toBe(2);
    await expect(perplexity(model, bare, [{ text: 'a' }], { window: 20 })).rejects.toThrow('nothing to predict');
  });

  test('scores the tail of a text in a whole window of its own', async () => {
    const windows = [trained('<s>abcd'), trained('defgh'), trained('ghijk', 2)];
    const { loss } = await meanLoss(model, windows);
    const { metrics, items } = await perplexity(model, plain, [{ text: 'abcdefghijk' }], { window: 4 });
    expect(items.map(({ weight }) => weight)).toEqual([4, 4, 3]);
    expect(metrics.loss).toBeCloseTo(loss, 5);
  });

  test('counts the words and bytes of what is scored', async () => {
    const texts = [{ text: 'ab cd ef' }, { text: 'gh' }];
    const measured = async (windows?: number) =>
      (await perplexity(model, plain, texts, { window: 4, windows })).metrics;
    const whole = await measured();
    const nats = whole.loss! * whole.tokens!;
    expect(whole.wordPerplexity).toBeCloseTo(Math.exp(nats / 4), 5);
    expect(whole.bytePerplexity).toBeCloseTo(Math.exp(nats / 10), 8);
    expect(whole.bitsPerByte).toBeCloseTo(nats / 10 / Math.log(2), 8);
    // `ab c` is two words and four bytes.
    const part = await measured(1);
    expect(part.wordPerplexity).toBeCloseTo(Math.exp((part.loss! * part.tokens!) / 2), 5);
    expect(part.bytePerplexity).toBeCloseTo(part.perplexity!, 8);
  });
});

describe('a tokenizer that puts a token before a text', () => {
  test('has it before choices that are asked for plainly, once, and where the chat template says so', () => {
    const row: ChoiceRow = { prompt: [{ role: 'user', content: 'Why?' }], choices: ['so'], answer: 0 };
    const [[sequence]] = askPlainly([row], withBos) as [[Sequence]];
    expect(withBos.decode(sequence!.tokens)).toBe('<s>Question: Why?\nAnswer: so');
    expect(withBos.decode(sequence!.tokens.filter((_, i) => sequence!.trained[i]))).toBe(' so');
    const templated = pieceTokenizer(pieces, {
      bos: '<s>',
      addsBos: true,
      chatTemplate: '<s>{{ messages[0].content }}:{% if messages[1] %}{{ messages[1].content }}</s>{% endif %}',
    });
    expect(templated.decode(encodeChoices(row, templated)[0]!.tokens)).toBe('<s>Why?:so');
  });
});

test('choices are compared by code points, as Python counts characters', async () => {
  const uniform = await readModel(config, backend, async () => {});
  const row: ChoiceRow = { prompt: [{ role: 'user', content: 'Q' }], choices: ['😀', 'ab'], answer: 1 };
  // Each token has the same probability: −2/1 a code point for " 😀", −3/2 for " ab".
  const { metrics, items } = await plainChoice(uniform, plain, [row]);
  expect(metrics).toEqual({ accuracy: 1, accuracyBySum: 0, chance: 0.5 });
  const logProb = expect.closeTo(-3 * Math.log(config.vocabSize), 4);
  expect(items).toEqual([{ item: 0, correct: true, score: 1, logProb }]);
  releaseModel(uniform);
});

describe('a task', () => {
  async function run(kind: string, lines: readonly object[], options: object = {}): Promise<TaskResults> {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'rows.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const chosen = { holdOut: 0, window: 20, maxLength: 40, rows: 10, maxNewTokens: 4, format: 'plain' as const };
    return runTasks(model, plain, parseTasks([`${kind}:rows.jsonl`]), { ...chosen, baseDirectory: folder, ...options });
  }

  test.each([
    ['exactMatch', [{ prompt: 'Q?' }, { prompt: 'R?' }], /exactMatch:rows.jsonl: .*none of 2 rows has an answer/],
    ['perplexity', [], /rows.jsonl/],
    ['loss', [], /rows.jsonl/],
    ['choice', [], /rows.jsonl/],
    ['preference', [], /rows.jsonl/],
  ])('that would measure nothing is refused: %s %#', async (kind, lines, message) => {
    await expect(run(kind, lines)).rejects.toThrow(message);
  });

  test('measures exact answers over the rows that have one', async () => {
    const found = await run('exactMatch', [{ prompt: 'Q?' }, { prompt: 'R?', answer: 'never' }]);
    expect(found.metrics).toEqual({ 'rows.jsonl/exactMatch': 0 });
    const items = [{ item: 0, correct: false, score: 0 }];
    expect(found.tasks).toEqual([{ task: 'exactMatch:rows.jsonl', metric: 'rows.jsonl/exactMatch', items }]);
  });

  const long = 'x'.repeat(60);
  const turns = [{ role: 'user', content: long }];
  test.each([
    ['perplexity', { text: long }, { window: 50 }],
    ['loss', { messages: [...turns, { role: 'assistant', content: 'y' }] }, { maxLength: 200 }],
    ['choice', { question: long, choices: ['a', 'b'], answer: 0 }, {}],
    ['preference', { prompt: long, chosen: 'a', rejected: 'b' }, { maxLength: 200 }],
    ['exactMatch', { prompt: long, answer: 'a' }, {}],
  ])('refuses what is longer than the model’s context: %s', async (kind, line, options) => {
    await expect(run(kind, [line], options)).rejects.toThrow(
      new RegExp(`${kind}:rows.jsonl: .*but the model's context is 40`),
    );
  });
});

test('a choice without a token of its own is refused: its log p of 0 would always win', async () => {
  const question = (choices: string[]): ChoiceRow => ({ prompt: [{ role: 'user', content: 'q' }], choices, answer: 0 });
  const tokenizer = pieceTokenizer([...pieces, 'Answer: a'], { bos: '<s>', eos: '</s>' });
  await expect(plainChoice(model, tokenizer, [question(['b', 'c']), question(['b', 'a'])])).rejects.toThrow(
    'row 2: no token of the choice "a" is its own',
  );
});

test('texts that differ in their last token alone are scored as each is by itself', async () => {
  const texts = ['ab', 'ac', 'cab', 'ab', 'bc'].map((text, i) => {
    const tokens = plain.encode(text);
    return { tokens, trained: new Uint8Array(tokens.length).fill(1, i === 4 ? 1 : tokens.length - 1) };
  });
  const together = await scoreTexts(model, plain, texts, '');
  for (const [i, text] of texts.entries()) {
    const alone = await scoreTexts(model, plain, [text], '');
    expect(together.logProbs[i]).toBeCloseTo(alone.logProbs[0]!, 5);
    expect(together.tokens[i]).toBe(1);
  }
  expect(together.logProbs[0]).toBe(together.logProbs[3]);
  expect(together.logProbs[0]).not.toBeCloseTo(together.logProbs[1]!, 3);
  expect(together.logProbs.slice(0, 3)).toEqual(
    (await logLikelihoods(model, texts)).slice(0, 3).map((logProb) => expect.closeTo(logProb, 5)),
  );
});

test('chance is the mean over questions of different numbers of choices', async () => {
  const question = (...choices: string[]): ChoiceRow => ({
    prompt: [{ role: 'user', content: 'a' }],
    choices,
    answer: 0,
  });
  const rows = [question('a', 'b'), question('a', 'b', 'c', 'd')];
  expect((await plainChoice(model, plain, rows)).metrics.chance).toBe(0.375);
});

test('exact match is a share of the rows whose answer is known', async () => {
  const tokenizer = pieceTokenizer(pieces, { eos: '</s>', chatTemplate: '{{ messages[0].content }}:' });
  const prompts = ['a', 'b', 'c'].map((content) => ({ prompt: [{ role: 'user' as const, content }] }));
  const options = { maxNewTokens: 3 };
  const [first] = await answerPrompts(model, tokenizer, prompts, options);
  const rows = [
    { ...prompts[0]!, answer: first!.completion },
    { ...prompts[1]!, answer: 'nothing like it' },
    prompts[2]!,
  ];
  expect((await exactMatch(model, tokenizer, rows, options)).metrics.exactMatch).toBe(0.5);
});
