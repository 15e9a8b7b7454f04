import { type Problem, RequestError } from '../errors.ts';
import type { ChatTemplate } from '../tokenizer/chat-templates.ts';
import { defaultChatTemplate, specialTokens } from '../tokenizer/special-tokens.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { TemplateFault } from './jinja/fault.ts';
import type { Rendered } from './jinja/render.ts';
import { JinjaTemplate } from './jinja/template.ts';
import type { Message } from './rows.ts';

/** A part of a text in UTF-16 units; `end` is exclusive. */
export interface Span {
  start: number;
  end: number;
}

/** A conversation as the model sees it, and the parts that it has to learn to generate. */
export interface RenderedConversation {
  text: string;
  /** A span for each assistant turn: its content and the token that ends the turn. */
  spans: Span[];
}

/** The chat template for tokenizers with neither a template nor role tokens, such as those of base models. */
export const plainChatTemplate =
  "{% for message in messages %}{{ '### ' + message['role'] | capitalize + ':\\n' + message['content'] }}" +
  "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}";

/** The chat template with which a tokenizer's conversations are rendered, and where it comes from. */
export function chatTemplateOf(tokenizer: Tokenizer): ChatTemplate & { origin: 'tokenizer' | 'default' | 'plain' } {
  const own = tokenizer.chatTemplates.get('default');
  if (own) return { ...own, origin: 'tokenizer' };
  const roles = [specialTokens.end, specialTokens.system, specialTokens.user, specialTokens.assistant];
  const hasRoles = roles.every((token) => tokenizer.tokenToId(token) !== undefined);
  const place = 'the chat template of mixtune';
  return hasRoles
    ? { source: defaultChatTemplate, place, origin: 'default' }
    : { source: plainChatTemplate, place, origin: 'plain' };
}

const renderers = new WeakMap<Tokenizer, ChatRenderer>();

/**
 * The renderer of a tokenizer's conversations, which parses the template only once.
 * @throws RequestError if the template is broken or uses features that are not supported
 */
export function chatRenderer(tokenizer: Tokenizer): ChatRenderer {
  const renderer = renderers.get(tokenizer) ?? new ChatRenderer(tokenizer);
  renderers.set(tokenizer, renderer);
  return renderer;
}

class ChatRenderer {
  readonly #template: JinjaTemplate;
  readonly #bosToken: string;
  readonly #eosToken: string;
  /** Where the template comes from, for messages. */
  readonly #place: string;

  constructor(tokenizer: Tokenizer) {
    const { source, place } = chatTemplateOf(tokenizer);
    this.#place = place;
    this.#bosToken = tokenOf(tokenizer, tokenizer.bosId);
    this.#eosToken = tokenOf(tokenizer, tokenizer.eosId);
    try {
      this.#template = new JinjaTemplate(source);
    } catch (error) {
      if (!(error instanceof TemplateFault)) throw error;
      throw new RequestError({
        where: this.#place,
        ...(error.line !== undefined && { line: error.line }),
        message: `the chat template cannot be used: ${error.message}`,
        hint: 'correct this place in the template; the data is fine',
      });
    }
  }

  /** The text up to where the assistant's next turn begins. */
  prompt(messages: readonly Message[]): string {
    return this.#render(messages, true).text;
  }

  /**
   * Renders a whole conversation. The spans of the assistant's turns are found by rendering the conversation up to and
   * including each of them. If the template renders these beginnings differently from the whole, its
   * `{% generation %}` marks are used.
   * @throws RequestError if there are no such marks either
   */
  conversation(messages: readonly Message[]): RenderedConversation {
    const { text, generated } = this.#render(messages, false);
    const turns = [...messages.keys()].filter((index) => messages[index]!.role === 'assistant');
    const spans: Span[] = [];
    for (const index of turns) {
      const before = this.prompt(messages.slice(0, index));
      const through = index + 1 === messages.length ? text : this.#render(messages.slice(0, index + 1), false).text;
      if (!text.startsWith(through) || !through.startsWith(before)) {
        if (generated?.length === turns.length)
          return { text, spans: generated.map((mark) => withoutTrailingSpace(text, mark)) };
        throw this.#notAPrefix(index, before, through, text);
      }
      const end = through.trimEnd().length;
      spans.push({
        start: before.length,
        end: Math.max(end, contentEnd(through, before.length, messages[index]!.content)),
      });
    }
    return { text, spans };
  }

  #render(messages: readonly Message[], addGenerationPrompt: boolean): Rendered {
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
      if (!(error instanceof TemplateFault)) throw error;
      const place = `line ${error.line} of ${this.#place}`;
      throw new RequestError(
        error.kind === 'raised'
          ? { message: `the chat template refuses the conversation: ${error.message} (${place})` }
          : {
              message: `the chat template cannot render the conversation: ${error.message} (${place})`,
              hint: "either Python's jinja2 fails here, too, or this construct is not supported; change this part of the template",
            },
      );
    }
  }

  #notAPrefix(index: number, before: string, through: string, text: string): RequestError {
    const changes = !text.startsWith(through);
    const [expected, found] = changes ? [through, text] : [before, through];
    const at = firstDifference(expected, found);
    const [was, is] = [expected, found].map((part) => JSON.stringify(part.slice(at, at + 30)));
    const problem: Problem = changes
      ? {
          message: `${this.#place} renders the beginning of a conversation differently from the whole: up to message ${index + 1} it writes ${was} where the whole has ${is}`,
          hint: "it changes earlier turns (for example by leaving out thoughts), so the assistant's text cannot be located: use conversations of one answer, a template that only appends, or one with {% generation %} around what the assistant says",
        }
      : {
          message: `${this.#place} asks for message ${index + 1} differently from how it renders it: the prompt has ${was} where the conversation has ${is}`,
          hint: 'the model would be prompted differently from how it is trained: use a template whose generation prompt equals the beginning of an answer, or one with {% generation %} around what the assistant says',
        };
    return new RequestError(problem);
  }
}

/** Where the content of a turn ends, including any trailing white space of its own; 0 if it is not found at `start`. */
function contentEnd(through: string, start: number, content: string): number {
  return through.startsWith(content, start) ? start + content.length : 0;
}

const withoutTrailingSpace = (text: string, { start, end }: Span): Span => ({
  start,
  end: start + text.slice(start, end).trimEnd().length,
});

function tokenOf(tokenizer: Tokenizer, id: number | undefined): string {
  return (id === undefined ? undefined : tokenizer.idToToken(id)) ?? '';
}

function firstDifference(a: string, b: string): number {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  return same;
}
