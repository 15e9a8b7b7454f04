import { describe, expect, it } from 'vitest';
import { describePreflight, encodeConversations, encodePairs, encodeUnpaired } from '../../src/data/preflight.ts';
import type { MessagesRow } from '../../src/data/rows.ts';
import type { RequestError } from '../../src/errors.ts';
import { specialTokens } from '../../src/tokenizer/special-tokens.ts';
import { pieceTokenizer } from './piece-tokenizer.ts';

const tokenizer = pieceTokenizer(Object.values(specialTokens), { eos: specialTokens.end });

/** 5 + the length of the answer tokens: three role and end tokens and a question of one, and the last end token. */
function row(answer: string): MessagesRow {
  return {
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content: answer },
    ],
  };
}

describe('preflight', () => {
  it('counts rows, tokens and trained tokens', () => {
    const { sequences, preflight } = encodeConversations([row('ab'), row('abcd')], tokenizer, { maxLength: 20 });
    expect(sequences.map(({ tokens }) => tokens.length)).toEqual([7, 9]);
    expect(preflight).toMatchObject({
      rows: 2,
      keptRows: 2,
      sequences: 2,
      tokens: 16,
      trainedTokens: 8,
      longest: 9,
      withoutEnd: 0,
    });
    expect(describePreflight(preflight)).toBe('2 rows, 16 tokens, 8 of them trained (50.0 %), longest 9');
  });

  it('makes rows that are too long an error with numbers', () => {
    const rows = [row('a'), row('abcdef'), row('abcdefgh')];
    expect(() => encodeConversations(rows, tokenizer, { maxLength: 10 })).toThrow(
      /2 of 3 rows are longer than 10 tokens \(row 2, 3\); the longest has 13/,
    );
  });

  it('drops or cuts them where that is asked for', () => {
    const rows = [row('a'), row('abcdef')];
    const dropped = encodeConversations(rows, tokenizer, { maxLength: 10, onTooLong: 'drop' });
    expect(dropped.preflight).toMatchObject({ rows: 2, keptRows: 1, tooLong: [1] });
    const cut = encodeConversations(rows, tokenizer, { maxLength: 10, onTooLong: 'truncate' });
    expect(cut.sequences.map(({ tokens }) => tokens.length)).toEqual([6, 10]);
    expect(tokenizer.decode(cut.sequences[1]!.tokens)).toBe('<|user|>q<|end|><|assistant|>abcdef');
    expect(cut.preflight.withoutEnd).toBe(0);
  });

  it('says so where every row is too long', () => {
    expect(() => encodeConversations([row('abcdef')], tokenizer, { maxLength: 3, onTooLong: 'drop' })).toThrow(
      'none are left',
    );
  });

  it('finds nothing wrong with no rows', () => {
    expect(encodeConversations([], tokenizer, { maxLength: 3 }).sequences).toEqual([]);
  });

  it('refuses rows with nothing to train on and answers that do not end, all at once', () => {
    const silent = pieceTokenizer([], {
      chatTemplate: '{% for m in messages %}{{ m.content }}{% endfor %}',
    });
    const rows = [row('a'), row(''), row('b')];
    const encode = () => encodeConversations(rows, silent, { maxLength: 10 });
    expect(encode).toThrow(/1 of 3 rows have nothing to train on \(row 2\)/);
    expect(encode).toThrow('2 of 2 answers end with "a", and generation stops at no token');
    expect(encodeConversations([row('a')], silent, { maxLength: 10, allowMissingEnd: true }).preflight.withoutEnd).toBe(
      1,
    );
  });

  it('takes an end of turn at which generation stops for an end, whatever the end token is', () => {
    const own = { ...tokenizer, eosId: tokenizer.tokenToId('<|user|>')! };
    const encode = (endIds: number[]) => encodeConversations([row('a')], { ...own, endIds }, { maxLength: 20 });
    expect(encode([own.eosId, tokenizer.tokenToId('<|end|>')!]).preflight.withoutEnd).toBe(0);
    expect(() => encode([own.eosId])).toThrow(
      /1 of 1 answers end with "<\|end\|>", and generation stops only at "<\|user\|>".*\n.*list its id under eos_token_id/,
    );
  });

  it('tells what a template refuses once for all rows, and nothing of lengths that follows from it', () => {
    const strict = pieceTokenizer([], { chatTemplate: "{{ raise_exception('no system here') }}" });
    const problems = (chat: typeof strict) => {
      try {
        encodeConversations([row('a'), row('b')], chat, { maxLength: 10 });
      } catch (error) {
        return (error as RequestError).problems.map(({ where, message }) => `${where}: ${message}`);
      }
      return [];
    };
    expect(problems(strict)).toEqual([
      'row 1, 2: the chat template refuses the conversation: no system here (line 1 of chat_template.jinja)',
    ]);
    expect(problems(pieceTokenizer([], { chatTemplate: '{{ x' }))).toEqual([
      'chat_template.jinja: the chat template cannot be used: a tag {{ is not closed',
    ]);
  });

  it('refuses two BOS tokens in front', () => {
    const doubled = pieceTokenizer(['<s>', '</s>'], {
      bos: '<s>',
      eos: '</s>',
      chatTemplate:
        '{{ bos_token }}{% for m in messages %}{{ m.content }}{% if m.role == "assistant" %}{{ eos_token }}{% endif %}{% endfor %}',
    });
    const twice = {
      messages: [
        { role: 'user' as const, content: '<s>q' },
        { role: 'assistant' as const, content: 'a' },
      ],
    };
    expect(() => encodeConversations([twice], doubled, { maxLength: 10 })).toThrow('two beginning-of-sequence tokens');
    expect(encodeConversations([row('a')], doubled, { maxLength: 10 }).preflight.doubledBos).toBe(0);
  });

  it('names the rows that the template refuses', () => {
    const strict = pieceTokenizer([], {
      chatTemplate:
        "{% if messages[0].content == 'bad' %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}",
    });
    const bad = {
      messages: [
        { role: 'user' as const, content: 'bad' },
        { role: 'assistant' as const, content: 'x' },
      ],
    };
    expect(() => encodeConversations([bad], strict, { maxLength: 10 })).toThrow(/row 1: the chat template refuses/);
  });

  it('keeps the two answers of a pair together', () => {
    const pair = (rejected: string) => ({ prompt: [{ role: 'user' as const, content: 'q' }], chosen: 'ab', rejected });
    const { pairs, preflight } = encodePairs([pair('a'), pair('abcdefgh')], tokenizer, {
      maxLength: 10,
      onTooLong: 'drop',
    });
    expect(pairs).toHaveLength(1);
    expect(preflight).toMatchObject({ rows: 2, keptRows: 1, sequences: 2, tokens: 13, trainedTokens: 5 });
  });

  const prompt = [{ role: 'user' as const, content: 'q' }];

  it('leaves out a pair whose answers are cut to the same tokens', () => {
    const rows = [
      { prompt, chosen: 'abcdefgh', rejected: 'abcdefxy' },
      { prompt, chosen: 'ab', rejected: 'cd' },
    ];
    const { pairs, preflight } = encodePairs(rows, tokenizer, { maxLength: 10, onTooLong: 'truncate' });
    expect(pairs).toHaveLength(1);
    expect(preflight.keptRows).toBe(1);
    expect(() => encodePairs(rows.slice(0, 1), tokenizer, { maxLength: 10, onTooLong: 'truncate' })).toThrow(
      'the same in all 1 pairs',
    );
  });

  it('keeps the label of answers that stand for themselves', () => {
    const rows = [
      { prompt, answers: [{ text: 'ab', desirable: false }] },
      { prompt, answers: [{ text: 'c', desirable: true }] },
    ];
    const { answers } = encodeUnpaired(rows, tokenizer, { maxLength: 10 });
    expect(answers.map(({ desirable }) => desirable)).toEqual([false, true]);
    expect(answers[0]!.trained.indexOf(1)).toBe(4);
  });

  it('refuses rows whose prompt is trained, as wrong offsets of a tokenizer make it', () => {
    const shifted = {
      ...tokenizer,
      encodeWithOffsets: (text: string) => {
        const { ids, offsets } = tokenizer.encodeWithOffsets(text);
        return { ids, offsets: offsets.map((offset) => offset + 13) };
      },
    };
    const trained = /in 1 of the first 1 rows tokens of the prompt are trained \(row 1\)/;
    const pair = { prompt, chosen: 'ab', rejected: 'cd' };
    expect(() => encodePairs([pair], shifted, { maxLength: 20 })).toThrow(trained);
    expect(() => encodeConversations([row('ab')], shifted, { maxLength: 20 })).toThrow(trained);
    const answers = [{ text: 'ab', desirable: true }];
    expect(() => encodeUnpaired([{ prompt, answers }], shifted, { maxLength: 20 })).toThrow(trained);
  });
});
