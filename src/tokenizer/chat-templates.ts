import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RequestError } from '../errors.ts';
import { type TokenizerFiles, templateFolder } from './files.ts';
import type { TokenizerConfig } from './tokenizer-json.ts';

export interface ChatTemplate {
  /** Jinja source. */
  source: string;
  /** The file and key that it comes from, for messages. */
  place: string;
}

const file = 'chat_template.jinja';

/**
 * A tokenizer's chat templates by name; the one called `default` is used. As in transformers, template files take
 * precedence over the config.
 */
export function chatTemplatesOf(files: TokenizerFiles, config: TokenizerConfig): ReadonlyMap<string, ChatTemplate> {
  const templates = new Map<string, ChatTemplate>();
  for (const [name, bytes] of files) {
    const isDefault = name === file;
    if (!isDefault && !name.startsWith(`${templateFolder}/`)) continue;
    const templateName = isDefault ? 'default' : name.slice(templateFolder.length + 1, -'.jinja'.length);
    templates.set(templateName, { source: decoded(bytes, name), place: name });
  }
  const { chat_template: inConfig } = config;
  if (templates.size > 0 || inConfig === null || inConfig === undefined) return templates;
  const place = 'chat_template in tokenizer_config.json';
  if (typeof inConfig === 'string') return new Map([['default', { source: inConfig, place }]]);
  return new Map(inConfig.map(({ name, template }) => [name, { source: template, place: `${place}, ${name}` }]));
}

/** Keeps a byte order mark, as Python does. */
function decoded(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new RequestError({ message: 'is not UTF-8', where: name, hint: 'save the template as UTF-8' });
  }
}

/**
 * Writes templates next to a tokenizer's other files, where they take precedence over those of its
 * tokenizer_config.json.
 * @throws RequestError if the name of a template cannot be a file name
 */
export async function writeChatTemplates(
  directory: string,
  templates: ReadonlyMap<string, ChatTemplate>,
): Promise<void> {
  for (const [name, { source }] of templates) {
    if (name === 'default') {
      await writeFile(join(directory, file), source);
      continue;
    }
    if (!/^[\w-][\w.-]*$/.test(name)) {
      throw new RequestError({
        message: `${JSON.stringify(name)} is not a valid name for a chat template`,
        where: 'tokenizer_config.json',
      });
    }
    await mkdir(join(directory, templateFolder), { recursive: true });
    await writeFile(join(directory, templateFolder, `${name}.jinja`), source);
  }
}
