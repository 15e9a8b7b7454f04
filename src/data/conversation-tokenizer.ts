import { writeChatTemplates } from '../tokenizer/chat-templates.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { chatTemplateOf } from './template.ts';

/**
 * Loads the tokenizer of a model that is to learn from conversations. If it has no chat template, it is given one,
 * which is logged and saved with the result, so that other programs format conversations in the same way.
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

/** A message for the user if a tokenizer has no chat template and is given one. */
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
