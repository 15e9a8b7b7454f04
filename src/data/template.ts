import { Template } from '@huggingface/jinja';
import { RequestError } from '../errors.ts';
import { defaultChatTemplate, specialTokens } from '../tokenizer/special-tokens.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Message } from './rows.ts';

/** A part of a text in UTF-16 code units; `end` is exclusive. */
export interface Span {
  start: number;
  end: number;
}

/** A conversation as the model sees it, and the parts that the assistant has to learn to say. */
export interface RenderedConversation {
  text: string;
  /** One for each assistant turn: its content and the token that ends the turn. */
  spans: Span[];
}

/** Chat template for tokenizers that have neither a template nor role tokens, such as those of base models. */
export const plainChatTemplate =
  "{% for message in messages %}{{ '### ' + message['role'] | capitalize + ':\\n' + message['content'] }}" +
  "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}";

/** The chat template that a tokenizer's conversations are rendered with, and where it is from. */
export function chatTemplateOf(tokenizer: Tokenizer): { source: string; origin: 'tokenizer' | 'default' | 'plain' } {
  if (tokenizer.chatTemplate !== undefined) return { source: tokenizer.chatTemplate, origin: 'tokenizer' };
  const roles = [specialTokens.end, specialTokens.system, specialTokens.user, specialTokens.assistant];
  const hasRoles = roles.every((token) => tokenizer.tokenToId(token) !== undefined);
  return hasRoles ? { source: defaultChatTemplate, origin: 'default' } : { source: plainChatTemplate, origin: 'plain' };
}

const renderers = new WeakMap<Tokenizer, ChatRenderer>();

/** The renderer of a tokenizer's conversations; its template is parsed once. */
export function chatRenderer(tokenizer: Tokenizer): ChatRenderer {
  const renderer = renderers.get(tokenizer) ?? new ChatRenderer(tokenizer);
  renderers.set(tokenizer, renderer);
  return renderer;
}

class ChatRenderer {
  readonly #template: Template;
  readonly #bosToken: string;
  readonly #eosToken: string;

  constructor(tokenizer: Tokenizer) {
    const { source } = chatTemplateOf(tokenizer);
    if (/\{%-?\s*(break|continue)\b/.test(source)) {
      throw new RequestError({
        message: 'the chat template uses `break` or `continue`, which would lose text here',
        hint: 'rewrite the loop of the template with `if`',
      });
    }
    this.#template = new Template(source);
    this.#bosToken = tokenOf(tokenizer, tokenizer.bosId);
    this.#eosToken = tokenOf(tokenizer, tokenizer.eosId);
  }

  /** The text up to where the assistant's next turn begins. */
  prompt(messages: readonly Message[]): string {
    return this.#render(messages, true);
  }

  /**
   * The whole conversation, rendered once; where the assistant's turns stand in it follows from renderings of its
   * beginnings. A template that renders a beginning differently is a RequestError: no span would be certain.
   */
  conversation(messages: readonly Message[]): RenderedConversation {
    const text = this.#render(messages, false);
    const spans: Span[] = [];
    for (const [index, { role, content }] of messages.entries()) {
      if (role !== 'assistant') continue;
      const before = this.prompt(messages.slice(0, index));
      const through = index + 1 === messages.length ? text : this.#render(messages.slice(0, index + 1), false);
      if (!text.startsWith(through) || !through.startsWith(before)) throw notAPrefix(index, before, text);
      const end = through.trimEnd().length;
      spans.push({ start: before.length, end: Math.max(end, contentEnd(through, before.length, content)) });
    }
    return { text, spans };
  }

  #render(messages: readonly Message[], addGenerationPrompt: boolean): string {
    try {
      return this.#template.render({
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: addGenerationPrompt,
        bos_token: this.#bosToken,
        eos_token: this.#eosToken,
        tools: null,
        documents: null,
      });
    } catch (error) {
      throw new RequestError({ message: `the chat template refuses the conversation: ${(error as Error).message}` });
    }
  }
}

/** Where the content ends if nothing but white space that belongs to it stands behind. */
function contentEnd(through: string, start: number, content: string): number {
  return through.startsWith(content, start) ? start + content.length : 0;
}

function tokenOf(tokenizer: Tokenizer, id: number | undefined): string {
  return (id === undefined ? undefined : tokenizer.idToToken(id)) ?? '';
}

function notAPrefix(index: number, before: string, text: string): RequestError {
  let same = 0;
  while (same < before.length && before[same] === text[same]) same++;
  const found = JSON.stringify(text.slice(same, same + 30));
  const expected = JSON.stringify(before.slice(same, same + 30));
  return new RequestError({
    message: `the chat template renders the beginning of a conversation differently from the whole: message ${index + 1} has ${found} where its beginning has ${expected}`,
    hint: 'what the assistant says cannot be told apart from the rest; use a template that only appends',
  });
}
