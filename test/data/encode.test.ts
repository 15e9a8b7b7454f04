import { describe, expect, it } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import {
  checkTokenIds,
  encodeChoices,
  encodeMessages,
  encodePair,
  encodePrompt,
  encodeSpans,
  encodeText,
} from '../../src/data/encode.ts';
import type { Message } from '../../src/data/rows.ts';
import { defaultChatTemplate, specialTokens } from '../../src/tokenizer/special-tokens.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { pieceTokenizer } from './piece-tokenizer.ts';

const roleTokens = Object.values(specialTokens);
const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const chatMl =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** The text of the trained tokens, with `…` for each run of others. */
function trainedText(sequence: Sequence, tokenizer: Tokenizer): string {
  const shown = Array.from(sequence.tokens, (id, i) => (sequence.trained[i] ? tokenizer.decode([id]) : '…'));
  return shown.join('').replace(/…+/g, '…');
}

describe('conversations', () => {
  const tokenizer = pieceTokenizer([...roleTokens, 'blue', 'sky'], { eos: specialTokens.end });

  it('leaves turns out that are marked as context', () => {
    const bad: Message = { role: 'assistant', content: 'bad', trained: false };
    const marked = { messages: [user('a'), bad, user('b'), assistant('ok'), user('c'), bad] };
    const encoded = encodeMessages(marked, tokenizer);
    expect(trainedText(encoded, tokenizer)).toBe('…ok<|end|>…');
    expect(tokenizer.decode(encoded.tokens)).toBe(
      tokenizer.decode(
        encodeMessages({ messages: marked.messages.map(({ role, content }) => ({ role, content })) }, tokenizer).tokens,
      ),
    );
  });

  it('trains every assistant turn and the token that ends it, and nothing else', () => {
    const row = {
      messages: [
        { role: 'system' as const, content: 'be' },
        user('sky?'),
        assistant('blue'),
        user('no'),
        assistant('ok'),
      ],
    };
    const encoded = encodeMessages(row, tokenizer);
    expect(tokenizer.decode(encoded.tokens)).toBe(
      '<|system|>be<|end|><|user|>sky?<|end|><|assistant|>blue<|end|><|user|>no<|end|><|assistant|>ok<|end|>',
    );
    expect(trainedText(encoded, tokenizer)).toBe('…blue<|end|>…ok<|end|>');
    expect(encoded.boundaryMerges).toBe(0);
  });

  it('does not mistake a repetition of the answer in the prompt for the answer', () => {
    const encoded = encodeMessages({ messages: [user('say blue<|end|> blue'), assistant('blue')] }, tokenizer);
    expect([...encoded.trained].filter(Boolean)).toHaveLength(2);
    expect(trainedText(encoded, tokenizer)).toBe('…blue<|end|>');
  });

  it('leaves out what ChatML puts behind the token that ends a turn', () => {
    const chat = pieceTokenizer(['<|im_start|>', '<|im_end|>'], { eos: '<|im_end|>', chatTemplate: chatMl });
    const encoded = encodeMessages({ messages: [user('a'), assistant('b'), user('c'), assistant('d ')] }, chat);
    expect(trainedText(encoded, chat)).toBe('…b<|im_end|>…d <|im_end|>…');
  });

  it('counts a token that reaches over the edge, and does not train it', () => {
    const merging = pieceTokenizer([...roleTokens, '|>b'], {
      eos: specialTokens.end,
      chatTemplate:
        'U{{ messages[0].content }}A|>{% if messages|length > 1 %}{{ messages[1].content }}<|end|>{% endif %}',
    });
    const encoded = encodeMessages({ messages: [user('x'), assistant('bc')] }, merging);
    expect(merging.decode(encoded.tokens)).toBe('UxA|>bc<|end|>');
    expect(encoded.boundaryMerges).toBe(1);
    expect(trainedText(encoded, merging)).toBe('…c<|end|>');
  });

  it('refuses a template that changes earlier turns', () => {
    const template = "{% for m in messages %}{{ m.content if loop.last else m.content.split('!')[-1] }};{% endfor %}";
    const odd = pieceTokenizer([], { chatTemplate: template });
    const messages = [user('x'), assistant('hm! y'), user('z'), assistant('w')];
    expect(() => encodeMessages({ messages }, odd)).toThrow(
      /chat_template.jinja renders the beginning of a conversation differently.*message 2 it writes "hm! y;".*thoughts/s,
    );
    expect(trainedText(encodeMessages({ messages: messages.slice(0, 2) }, odd), odd)).toBe('…hm! y;');
  });

  it('refuses a template that asks for an answer otherwise than it renders it', () => {
    const template =
      '{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:<think>{% endif %}';
    const odd = pieceTokenizer([], { chatTemplate: template });
    expect(() => encodeMessages({ messages: [user('x'), assistant('y')] }, odd)).toThrow(
      /asks for message 2 differently from how it renders it: the prompt has "<think>" where the conversation has "y;"/,
    );
  });

  it('goes by the generation marks of a template that changes earlier turns', () => {
    const template =
      "{% for m in messages %}{% if m.role == 'assistant' %}A{% generation %}{{ m.content if loop.last else m.content.split('!')[-1] }}<e>\n{% endgeneration %}{% else %}U{{ m.content }}{% endif %}{% endfor %}";
    const marked = pieceTokenizer(['<e>'], { eos: '<e>', chatTemplate: template });
    const encoded = encodeMessages({ messages: [user('x'), assistant('hm!y'), user('z'), assistant('hm!w')] }, marked);
    expect(marked.decode(encoded.tokens)).toBe('UxAy<e>\nUzAhm!w<e>\n');
    expect(trainedText(encoded, marked)).toBe('…y<e>…hm!w<e>…');
  });

  it('keeps the indentation of an answer whose line feeds a template strips', () => {
    const template = "{% for m in messages %}{{ m.content.strip('\n') }}<e>{% endfor %}";
    const strips = pieceTokenizer(['<e>'], { eos: '<e>', chatTemplate: template });
    const encoded = encodeMessages({ messages: [user('x'), assistant('\n    return 1\n')] }, strips);
    expect(strips.decode(encoded.tokens)).toBe('x<e>    return 1<e>');
  });

  it('says where in a template is what cannot be used, before any conversation', () => {
    const odd = pieceTokenizer([], { chatTemplate: 'a\n{{ messages | nosuch }}' });
    expect(() => encodePrompt([user('x')], odd)).toThrow(
      /line 2 {2}chat_template.jinja: the chat template cannot be used: the filter "nosuch" is not supported.*\n.*the data is fine/,
    );
  });

  it('says why a template refuses a conversation', () => {
    const strict = pieceTokenizer([], { chatTemplate: "{{ raise_exception('roles must alternate') }}" });
    expect(() => encodePrompt([user('x')], strict)).toThrow('roles must alternate');
  });

  it('adds the generation prompt to a prompt, and nothing else', () => {
    const prompt = encodePrompt([user('sky?')], tokenizer);
    expect(tokenizer.decode(prompt)).toBe('<|user|>sky?<|end|><|assistant|>');
    const whole = encodeMessages({ messages: [user('sky?'), assistant('blue')] }, tokenizer);
    expect([...whole.tokens.subarray(0, prompt.length)]).toEqual([...prompt]);
  });

  it('takes a plain template that ends answers where a tokenizer has none', () => {
    const base = pieceTokenizer(['</s>'], { eos: '</s>' });
    const encoded = encodeMessages({ messages: [user('hi'), assistant('yes')] }, base);
    expect(base.decode(encoded.tokens)).toBe('### User:\nhi\n\n### Assistant:\nyes</s>\n\n');
    expect(trainedText(encoded, base)).toBe('…yes</s>…');
  });

  it('is the default template where the role tokens are there', () => {
    const named = pieceTokenizer(roleTokens, { chatTemplate: defaultChatTemplate });
    expect([...encodePrompt([user('a')], tokenizer)].length).toBe([...encodePrompt([user('a')], named)].length);
  });
});

describe('pairs and choices', () => {
  const tokenizer = pieceTokenizer(roleTokens, { eos: specialTokens.end });

  it('trains the two answers only, behind the same prompt', () => {
    const prompt = [user('a'), assistant('b'), user('c')];
    const { chosen, rejected } = encodePair({ prompt, chosen: 'yes', rejected: 'no' }, tokenizer);
    expect(trainedText(chosen, tokenizer)).toBe('…yes<|end|>');
    expect(trainedText(rejected, tokenizer)).toBe('…no<|end|>');
    const edge = chosen.trained.indexOf(1);
    expect(rejected.trained.indexOf(1)).toBe(edge);
    expect([...rejected.tokens.subarray(0, edge)]).toEqual([...chosen.tokens.subarray(0, edge)]);
  });

  it('scores choices without the end of the turn', () => {
    const continuations = encodeChoices({ prompt: [user('?')], choices: ['one', 'two'], answer: 1 }, tokenizer);
    expect(continuations.map((sequence) => tokenizer.decode(sequence.tokens))).toEqual([
      '<|user|>?<|end|><|assistant|>one',
      '<|user|>?<|end|><|assistant|>two',
    ]);
    expect(continuations.map((sequence) => trainedText(sequence, tokenizer))).toEqual(['…one', '…two']);
  });
});

describe('text windows', () => {
  const tokenizer = pieceTokenizer(['<s>', '</s>'], { bos: '<s>', eos: '</s>', addsBos: true });
  const rows = ['abcde', 'f', 'ghijklmnopq', 'rs'].map((text) => ({ text }));

  it('predicts every token of every document but the first once, in order', () => {
    const windows = encodeText(rows, tokenizer, { length: 7 });
    const predicted = windows.flat().flatMap(({ tokens, trained }) => [...tokens].filter((_, i) => trained[i]));
    expect(tokenizer.decode(predicted)).toBe('abcde</s>f</s>ghijklmnopq</s>rs</s>');
  });

  it('fills each window with as many predictions as asked for, the last with the rest', () => {
    const windows = encodeText(rows, tokenizer, { length: 7 });
    const predictions = windows.map((pieces) => pieces.reduce((sum, { tokens }) => sum + tokens.length - 1, 0));
    expect(predictions).toEqual([7, 7, 7, 2]);
  });

  it('begins documents with BOS where the tokenizer does, once', () => {
    const [window] = encodeText([{ text: 'ab' }, { text: '<s>c' }], tokenizer, { length: 100 });
    expect(window!.map(({ tokens }) => tokenizer.decode(tokens))).toEqual(['<s>ab</s>', '<s>c</s>']);
  });

  it('goes on with a long document from its last token', () => {
    const windows = encodeText([{ text: 'abcdefg' }], tokenizer, { length: 3 });
    expect(windows.map(([piece]) => tokenizer.decode(piece!.tokens))).toEqual(['<s>abc', 'cdef', 'fg</s>']);
  });
});

describe('token ids', () => {
  const tokenizer = pieceTokenizer([]);

  it('names the id and both sizes', () => {
    const sequence = { tokens: Int32Array.from([65, 127]), trained: new Uint8Array(2) };
    expect(() => checkTokenIds([], tokenizer, 100)).toThrow(/tokenizer has 128 tokens, but the model only 100/);
    const outside = { tokens: Int32Array.from([65, 130]), trained: new Uint8Array(2) };
    expect(() => checkTokenIds([outside], tokenizer, 128)).toThrow(/token id 130 is out of range: .* 0 to 127/);
    expect(() => checkTokenIds([sequence], tokenizer, 128)).not.toThrow();
  });
});

it('the first token of a text is never trained, as nothing predicts it', () => {
  const tokenizer = pieceTokenizer(['ab']);
  const { tokens, trained } = encodeSpans('abc', [{ start: 0, end: 3 }], tokenizer);
  expect(tokenizer.decode(tokens.filter((_, i) => trained[i]))).toBe('c');
});
