import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConversationTokenizer } from '../../src/data/conversation-tokenizer.ts';
import { encodePrompt } from '../../src/data/encode.ts';
import { plainChatTemplate } from '../../src/data/template.ts';
import { defaultChatTemplate } from '../../src/tokenizer/special-tokens.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { temporaryFolder } from '../checkpoint/temporary.ts';

/** A folder with a tokenizer, the chat template in its config being this one. */
async function tokenizerWith(chatTemplate: unknown, specialTokens?: string[]): Promise<string> {
  const folder = await temporaryFolder();
  await trainTokenizer(['a text'], { vocabSize: 262, ...(specialTokens && { specialTokens }) }).save(folder);
  const path = join(folder, 'tokenizer_config.json');
  const config = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...config, chat_template: chatTemplate }));
  return folder;
}

async function saved(folder: string) {
  const said: string[] = [];
  const tokenizer = await loadConversationTokenizer(folder, (line) => said.push(line));
  const copy = await temporaryFolder();
  await tokenizer.save(copy);
  const again = await loadConversationTokenizer(copy, (line) => said.push(`again: ${line}`));
  const question = [{ role: 'user', content: 'Hi' }] as const;
  expect(encodePrompt(question, again)).toEqual(encodePrompt(question, tokenizer));
  return { said, copy, templates: new Map([...again.chatTemplates].map(([name, { source }]) => [name, source])) };
}

test('a tokenizer without a chat template is said to get one, and is saved with it', async () => {
  const named = await saved(await tokenizerWith(null));
  expect(named.said).toEqual([
    'the model has no chat template: turns of conversations begin with <|user|> and <|assistant|>; this template is saved with the result',
  ]);
  expect(await readFile(join(named.copy, 'chat_template.jinja'), 'utf8')).toBe(defaultChatTemplate);
  const plain = await saved(await tokenizerWith(null, ['<|end|>']));
  expect(plain.said[0]).toContain('begin with "### User:" and "### Assistant:"');
  expect(plain.templates).toEqual(new Map([['default', plainChatTemplate]]));
});

test('its own chat template is neither said nor changed', async () => {
  const { said, templates } = await saved(await tokenizerWith('{{ messages[0].content }}'));
  expect(said).toEqual([]);
  expect(templates).toEqual(new Map([['default', '{{ messages[0].content }}']]));
});

test('of a list without a default none is taken, and all are kept beside the one that it gets', async () => {
  const list = ['rag', 'tool_use'].map((name) => ({ name, template: `{{ '${name}' }}` }));
  const { said, templates } = await saved(await tokenizerWith(list));
  expect(said[0]).toContain("none of the model's chat templates (rag, tool_use) is called default");
  expect(Object.fromEntries(templates)).toEqual({
    default: defaultChatTemplate,
    rag: "{{ 'rag' }}",
    tool_use: "{{ 'tool_use' }}",
  });
});

test('files go before the config, named ones are kept, and a name that leaves the folder is refused', async () => {
  const folder = await tokenizerWith('{{ 1 }}');
  await mkdir(join(folder, 'additional_chat_templates'));
  await writeFile(join(folder, 'additional_chat_templates', 'tool_use.jinja'), '{{ 2 }}');
  await writeFile(join(folder, 'chat_template.jinja'), '\ufeff{{ 3 }}');
  const { said, templates } = await saved(folder);
  expect(said).toEqual([]);
  expect(Object.fromEntries(templates)).toEqual({ default: '\ufeff{{ 3 }}', tool_use: '{{ 2 }}' });
  const hostile = await tokenizerWith([{ name: '../../x', template: '' }]);
  await expect(saved(hostile)).rejects.toThrow('"../../x" is not a valid name for a chat template');
});
