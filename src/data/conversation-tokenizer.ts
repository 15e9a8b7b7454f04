import { writeChatTemplates } from '../tokenizer/chat-templates.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { chatTemplateOf } from './template.ts';

/**
 * The tokenizer of a model that is to learn from conversations. Where it has no chat template it gets one, which is
 * said and saved with the result, so that others write conversations alike.
 */
export async function loadConversationTokenizer(directory: string, log: (line: string) => void): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer(directory);
  const given = describeGivenTemplate(tokenizer);
  if (given === undefined) return tokenizer;
  log(`${given}; this template is saved with the result`);
  const { source, place } = chatTemplateOf(tokenizer);
  const chatTemplates = new Map([...tokenizer.chatTemplates, ['default', { source, place }]]);
  return {
    ...tokenizer,
    chatTemplates,
    async save(folder) {
      await tokenizer.save(folder);
      await writeChatTemplates(folder, chatTemplates);
    },
  };
}

/** A sentence for the user where a tokenizer has no chat template and is given one. */
export function describeGivenTemplate(tokenizer: Tokenizer): string | undefined {
  const { origin } = chatTemplateOf(tokenizer);
  if (origin === 'tokenizer') return undefined;
  const names = [...tokenizer.chatTemplates.keys()].join(', ');
  const lack = names
    ? `none of the model's chat templates (${names}) is called default`
    : 'the model has no chat template';
  const turns = origin === 'default' ? '<|user|> and <|assistant|>' : '"### User:" and "### Assistant:"';
  return `${lack}: turns of conversations begin with ${turns}`;
}
