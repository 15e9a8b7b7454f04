import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openTokenizer } from '../../src/tokenizer/open.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { thorough } from '../thorough.ts';
import { hardTexts, randomTexts } from './hard-texts.ts';
import { oracle } from './oracle.ts';

type Json = Record<string, unknown>;
const fixture = (name: string): Json & { model: Json & { vocab: Json }; added_tokens: Json[] } =>
  JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures', name), 'utf8'));
const open = (json: object): Tokenizer =>
  openTokenizer(new Map([['tokenizer.json', Buffer.from(JSON.stringify(json))]]));

const texts = [...hardTexts, ...randomTexts(200, 3)];
const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const gpt2 = { ...bytes, use_regex: true };
const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });
const split = (Regex: string, behavior = 'Isolated', invert = false) => ({
  type: 'Split',
  pattern: { Regex },
  behavior,
  invert,
});

/** Byte-level BPE with other components. */
const byteLevel = (changes: object) => ({ ...fixture('qwen2.json'), normalizer: null, ...changes });
const splitInto = (...steps: object[]) => byteLevel({ pre_tokenizer: sequence(...steps, bytes) });
const normalised = (normalizer: object) => byteLevel({ normalizer });

function withAdded(json: ReturnType<typeof fixture>, flags: object): object {
  const id = Math.max(...json.added_tokens.map((token) => token.id as number)) + 1;
  const none = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
  return { ...json, added_tokens: [...json.added_tokens, { id, content: 'wort', ...none, ...flags }] };
}

const contractions = "'s|'t|'re|'ve|'m|'ll|'d";
const ends = '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const upper = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const lower = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';
const gpt4 = `'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*${ends}`;
const word = (letters: string) => `[^\\r\\n\\p{L}\\p{N}]?${letters}(?i:${contractions})?`;
const o200k = `${word(`[${upper}]*[${lower}]+`)}|${word(`[${upper}]+[${lower}]*`)}|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*${ends}`;
const deepSeek = [
  split('\\p{N}{1,3}'),
  split('[一-龥぀-ゟ゠-ヿ]+'),
  split(
    `[!"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_\`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*${ends}`,
  ),
];
const falcon = [{ type: 'Punctuation', behavior: 'Contiguous' }, gpt2, { type: 'Digits', individual_digits: false }];

const kinds: Record<string, object> = {
  'GPT-4': splitInto(split(gpt4)),
  'GPT-4, written as what is left over': splitInto(split(gpt4, 'Removed', true)),
  o200k: splitInto(split(o200k)),
  'DeepSeek-V3': splitInto(...deepSeek),
  Falcon: byteLevel({ pre_tokenizer: sequence(...falcon, split('[0-9][0-9][0-9]')) }),
  Bloom: splitInto(split(' ?[^(\\s|[.,!?…。，、।۔،])]+')),
  'GPT-2, NFC': byteLevel({ normalizer: { type: 'NFC' }, pre_tokenizer: gpt2 }),
  'digits together': byteLevel({ pre_tokenizer: sequence({ type: 'Digits', individual_digits: false }, gpt2) }),
  'digits one by one': splitInto({ type: 'Digits', individual_digits: true }),
  'matches in contact': splitInto(split('\\s', 'Contiguous')),
  'matches removed': splitInto(split('\\s+', 'Removed')),
  'white space and words': splitInto({ type: 'Whitespace' }),
  'white space': splitInto({ type: 'WhitespaceSplit' }),
  'BERT’s words': splitInto({ type: 'BertPreTokenizer' }),
  'punctuation removed': splitInto({ type: 'Punctuation', behavior: 'Removed' }),
  'punctuation isolated': splitInto({ type: 'Punctuation', behavior: 'Isolated' }),
  'punctuation in contact': splitInto({ type: 'Punctuation', behavior: 'Contiguous' }),
  'metaspace before bytes': splitInto({ type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }),
  'lower case': normalised({ type: 'Lowercase' }),
  NFKC: normalised({ type: 'NFKC' }),
  'without accents': normalised({ type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }] }),
  'stripped on both sides': normalised({ type: 'Strip', strip_left: true, strip_right: true }),
  'stripped on the left': normalised({ type: 'Strip', strip_left: true, strip_right: false }),
  'stripped on the right': normalised({ type: 'Strip', strip_left: false, strip_right: true }),
  'replaced by a pattern': normalised({ type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }),
  'an added word that strips': withAdded(fixture('qwen2.json'), { lstrip: true, rstrip: true }),
  'Unigram, not split': {
    ...fixture('unigram.json'),
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
  },
};

test.each(Object.entries(kinds))('ids of the Rust tokenizer: %s', async (_, json) => {
  const tokenizer = open(json);
  const expected = await oracle(JSON.stringify(json));
  for (const text of texts) {
    expect({ text, ids: Array.from(tokenizer.encode(text)) }).toEqual({ text, ids: (await expected(text)).ids });
  }
});

const bpe = (changes: object) => ({ ...fixture('qwen2.json'), model: { ...fixture('qwen2.json').model, ...changes } });
const bert = fixture('wordpiece.json').normalizer as object;

describe('what would give other ids is refused by name', () => {
  test.each<[string, object]>([
    ['`single_word` of "wort"', withAdded(fixture('qwen2.json'), { single_word: true })],
    ['`end_of_word_suffix` "</w>"', bpe({ end_of_word_suffix: '</w>' })],
    ['`continuing_subword_prefix` "##"', bpe({ continuing_subword_prefix: '##', merges: [] })],
    ['`dropout` 0.1', bpe({ dropout: 0.1 })],
    ['`add_prefix_space` of ByteLevel', byteLevel({ pre_tokenizer: { ...gpt2, add_prefix_space: true } })],
    ['Split with the behavior MergedWithNext', splitInto(split('\\s+', 'MergedWithNext'))],
    ['Split with the behavior MergedWithPrevious', splitInto(split('\\s+', 'MergedWithPrevious'))],
    ['FixedLength', splitInto({ type: 'FixedLength', length: 5 })],
    ['BertNormalizer without', { ...fixture('wordpiece.json'), normalizer: { ...bert, clean_text: false } }],
  ])('%s', (construct, json) => {
    expect(() => open(json)).toThrow(`${construct}`);
    expect(() => open(json)).toThrow('token ids would differ');
  });
});

// Ten seconds of work, by its limit.
test.runIf(thorough)(
  'a pattern that tries too many ways to match is ended where texts are encoded',
  () => {
    const tokenizer = open(splitInto(split('(a|a)+$')));
    expect(tokenizer.encode('bab').length).toBeGreaterThan(0);
    expect(() => tokenizer.encode(`${'a'.repeat(60)}!`)).toThrow(
      /splitting a text of 61 characters took longer than 10/,
    );
  },
  60_000,
);
