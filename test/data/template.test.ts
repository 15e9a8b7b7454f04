import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/data/rows.ts';
import { chatRenderer, chatTemplateOf } from '../../src/data/template.ts';
import { defaultChatTemplate, specialTokens } from '../../src/tokenizer/special-tokens.ts';
import { pieceTokenizer } from './piece-tokenizer.ts';

const talk: Message[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: ' Hi ' },
  { role: 'assistant', content: 'Ho' },
  { role: 'user', content: 'So?' },
  { role: 'assistant', content: 'No.' },
];

/** What is trained of a conversation, and the whole text. */
function render(chatTemplate: string, tokens: { bos?: string; eos?: string }) {
  const tokenizer = pieceTokenizer(Object.values(tokens), { ...tokens, chatTemplate });
  const { text, spans } = chatRenderer(tokenizer).conversation(talk);
  return { text, trained: spans.map(({ start, end }) => text.slice(start, end)) };
}

describe('templates as models have them', () => {
  it('Llama 3: trimmed content, headers, end of turn', () => {
    const template =
      "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
    const { text, trained } = render(template, { bos: '<|begin_of_text|>', eos: '<|eot_id|>' });
    expect(trained).toEqual(['Ho<|eot_id|>', 'No.<|eot_id|>']);
    expect(text).toBe(
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHo<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nSo?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nNo.<|eot_id|>',
    );
  });

  it('Llama 2: the system message inside the first question, no generation prompt', () => {
    const template =
      "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if loop.index0 == 0 and system_message %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}{% endfor %}";
    const { text, trained } = render(template, { bos: '<s>', eos: '</s>' });
    expect(trained).toEqual([' Ho </s>', ' No. </s>']);
    expect(text).toBe('<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi [/INST] Ho </s><s>[INST] So? [/INST] No. </s>');
  });

  it('SmolLM2: a system message put in where there is none', () => {
    const template =
      "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou help<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    const { text, trained } = render(template, { eos: '<|im_end|>' });
    expect(trained).toEqual(['Ho<|im_end|>', 'No.<|im_end|>']);
    expect(text.startsWith('<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n')).toBe(true);
  });

  it('removes white space around blocks as transformers does', () => {
    const template =
      '{% for m in messages %}\n    {% if m.role == "assistant" %}\n[{{ m.content }}]\n    {% endif %}\n{% endfor %}';
    expect(render(template, {}).text).toBe('[Ho]\n[No.]\n');
  });
});

describe('the choice of a template', () => {
  it('is the tokenizer’s own, else the default for its role tokens, else a plain one', () => {
    const roles = Object.values(specialTokens);
    expect(chatTemplateOf(pieceTokenizer(roles, { chatTemplate: 'x' }))).toMatchObject({
      source: 'x',
      origin: 'tokenizer',
    });
    expect(chatTemplateOf(pieceTokenizer(roles))).toMatchObject({ source: defaultChatTemplate, origin: 'default' });
    expect(chatTemplateOf(pieceTokenizer(roles.slice(1))).origin).toBe('plain');
  });
});
