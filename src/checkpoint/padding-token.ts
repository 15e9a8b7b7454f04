import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RequestError } from '../errors.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { writeFileAtomically } from './atomic.ts';

/** Candidates that do not end a text, for tokenizers that pad with the end token or have no padding token. */
const substitutes = ['<pad>', '<|pad|>', '[PAD]', '<unk>', '<|im_start|>', '<|endoftext|>'];

/**
 * The id with which a reward model's rows are padded. transformers regards the last other token as the last of the
 * text, so it must not be the end token.
 */
export function paddingIdOf(tokenizer: Tokenizer): number {
  const { padId, bosId, eosId } = tokenizer;
  const candidates = [padId, ...substitutes.map((token) => tokenizer.tokenToId(token)), bosId];
  const found = candidates.find((id) => id !== undefined && id !== eosId);
  if (found !== undefined) return found;
  throw new RequestError({
    message: "the tokenizer's only possible padding token is the end-of-text token, where the reward is read",
    hint: 'add a pad token such as <pad> to tokenizer.json and name it in tokenizer_config.json',
  });
}

/** Changes the tokenizer saved in `directory` so that it pads with this token too. */
export async function writePaddingToken(directory: string, tokenizer: Tokenizer, id: number): Promise<void> {
  if (tokenizer.padId === id) return;
  for (const name of ['tokenizer_config.json', 'special_tokens_map.json']) {
    const path = join(directory, name);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const settings = { ...JSON.parse(text), pad_token: tokenizer.idToToken(id) };
    await writeFileAtomically(path, `${JSON.stringify(settings, null, 2)}\n`);
  }
}
