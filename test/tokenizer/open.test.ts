import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { loadTokenizer } from '../../src/tokenizer/open.ts';
import { defaultChatTemplate } from '../../src/tokenizer/special-tokens.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';

const text = 'the cat sat on the mat. the cat ate the rat.\n';
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  await trainTokenizer([text], { vocabSize: 270 }).save(directory);
});
afterEach(() => rm(directory, { recursive: true }));

/** Replaces keys of a JSON file, or writes it anew. */
async function change(name: string, values: object): Promise<void> {
  const path = join(directory, name);
  const before = await readFile(path, 'utf8').catch(() => '{}');
  await writeFile(path, JSON.stringify({ ...JSON.parse(before), ...values }));
}

test('a trained tokenizer is the same after saving and loading', async () => {
  const trained = trainTokenizer([text], { vocabSize: 270 });
  const loaded = await loadTokenizer(directory);
  expect(loaded.encode(text)).toEqual(trained.encode(text));
  expect(loaded.fingerprint).toBe(trained.fingerprint);
  expect(loaded.chatTemplates.get('default')?.source).toBe(defaultChatTemplate);
  expect([loaded.vocabSize, loaded.eosId, loaded.padId, loaded.bosId]).toEqual([270, 0, 1, undefined]);
  expect(loaded.decode(loaded.encode('<|user|>hi<|end|>'), { skipSpecialTokens: true })).toBe('hi');
  expect([loaded.tokenToId('<|user|>'), loaded.idToToken(3)]).toEqual([3, '<|user|>']);
  expect([loaded.tokenToId('nothing'), loaded.idToToken(270)]).toEqual([undefined, undefined]);
});

test('saving copies every file byte by byte, and the fingerprint tells contents apart', async () => {
  await writeFile(join(directory, 'chat_template.jinja'), '{{ messages }}\n');
  await writeFile(join(directory, 'special_tokens_map.json'), '{ "eos_token":   "<|end|>" }');
  const loaded = await loadTokenizer(directory);
  const copy = join(directory, 'a', 'copy');
  await loaded.save(copy);
  const names = (await readdir(copy)).sort();
  expect(names).toEqual(['chat_template.jinja', 'special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json']);
  for (const name of names) expect(await readFile(join(copy, name))).toEqual(await readFile(join(directory, name)));
  expect((await loadTokenizer(copy)).fingerprint).toBe(loaded.fingerprint);
  await writeFile(join(copy, 'chat_template.jinja'), '{{ messages }}');
  expect((await loadTokenizer(copy)).fingerprint).not.toBe(loaded.fingerprint);
});

describe('chat template', () => {
  const template = async () => (await loadTokenizer(directory)).chatTemplates.get('default')?.source;

  test('the one called default of a list', async () => {
    const list = ['tool_use', 'default'].map((name) => ({ name, template: `{{ ${name} }}` }));
    await change('tokenizer_config.json', { chat_template: list });
    expect(await template()).toBe('{{ default }}');
  });

  test('chat_template.jinja goes before the one in the config', async () => {
    await writeFile(join(directory, 'chat_template.jinja'), '{{ file }}');
    expect(await template()).toBe('{{ file }}');
  });

  test('none', async () => {
    await change('tokenizer_config.json', { chat_template: null });
    expect(await template()).toBeUndefined();
  });
});

test('with `ignore_merges` a word that is an entry is one token, whatever the merges make of it', async () => {
  const { model } = JSON.parse(await readFile(join(directory, 'tokenizer.json'), 'utf8'));
  const vocab = { ...model.vocab, zebra: Object.keys(model.vocab).length };
  for (const ignore_merges of [true, false]) {
    await change('tokenizer.json', { model: { ...model, vocab, ignore_merges } });
    const { encode } = await loadTokenizer(directory);
    expect([...encode('zebra')].length).toBe(ignore_merges ? 1 : 5);
    expect([...encode('zebras')].length).toBe(6);
  }
});

describe('special tokens', () => {
  test('as objects, and from special_tokens_map.json where the config has none', async () => {
    await change('tokenizer_config.json', { eos_token: { content: '<|user|>', lstrip: false }, pad_token: null });
    await change('special_tokens_map.json', { bos_token: '<|system|>', pad_token: { content: '<|pad|>' } });
    const { bosId, eosId, padId } = await loadTokenizer(directory);
    expect([bosId, eosId, padId]).toEqual([2, 3, 1]);
  });

  test('tokenizer.json alone is enough', async () => {
    await rm(join(directory, 'tokenizer_config.json'));
    const { bosId, eosId, padId, prefixIds, chatTemplates } = await loadTokenizer(directory);
    expect([bosId, eosId, padId, prefixIds, chatTemplates.size]).toEqual([undefined, undefined, undefined, [], 0]);
  });

  const named = { bos_token: '<|system|>' };
  test.each([
    ['a template that starts with one', [2], named, [bos('<|system|>'), sequence]],
    ['a template that starts with two', [2, 1], named, [bos('<|system|>'), bos('<|pad|>'), sequence]],
    ['a template without one', [], named, [sequence]],
    ['a template that ends with one', [], named, [sequence, bos('<|system|>')]],
    ['add_bos_token against the template', [], { ...named, add_bos_token: false }, [bos('<|system|>'), sequence]],
    ['add_bos_token', [2], { ...named, add_bos_token: true }, [sequence]],
    ['a template, but no beginning-of-sequence token', [2], {}, [bos('<|system|>'), sequence]],
  ])('prefix: %s', async (_, expected, config, single) => {
    const special_tokens = Object.fromEntries(
      ['<|pad|>', '<|system|>'].map((id, i) => [id, { id, ids: [i + 1], tokens: [id] }]),
    );
    const template = { type: 'TemplateProcessing', single, pair: single, special_tokens };
    const sequenceOfBoth = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] };
    for (const post_processor of [template, sequenceOfBoth]) {
      await change('tokenizer.json', { post_processor });
      await change('tokenizer_config.json', config);
      expect((await loadTokenizer(directory)).prefixIds).toEqual(expected);
    }
  });

  test('prefix: a BERT-like post-processor', async () => {
    await change('tokenizer.json', { post_processor: { type: 'BertProcessing', sep: ['<|pad|>', 1], cls: ['x', 2] } });
    expect((await loadTokenizer(directory)).prefixIds).toEqual([2]);
  });
});

const sequence = { Sequence: { id: 'A', type_id: 0 } };
function bos(id: string): object {
  return { SpecialToken: { id, type_id: 0 } };
}

describe('errors name the file and what to do', () => {
  const refusal = async () => {
    const error: unknown = await loadTokenizer(directory).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(RequestError);
    const { message } = error as RequestError;
    expect(message).toContain(directory);
    expect(message).toContain('hint:');
    return message;
  };

  test('no tokenizer.json', async () => {
    await rm(join(directory, 'tokenizer.json'));
    expect(await refusal()).toMatch(/there is no tokenizer\.json[\s\S]*mixtune tokenizer/);
    await writeFile(join(directory, 'tokenizer.model'), '');
    expect(await refusal()).toMatch(/SentencePiece/);
  });

  test('no directory', async () => {
    directory = join(directory, 'missing');
    expect(await refusal()).toMatch(/there is no tokenizer\.json/);
    directory = join(directory, '..');
  });

  test('a truncated file', async () => {
    const path = join(directory, 'tokenizer.json');
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, 1000));
    expect(await refusal()).toMatch(/tokenizer\.json: is not JSON/);
  });

  test('a file without a model', async () => {
    await writeFile(join(directory, 'tokenizer.json'), '{"added_tokens":[{"id":-1}]}');
    expect(await refusal()).toMatch(/2 problems|3 problems/);
  });

  test('a broken config', async () => {
    await writeFile(join(directory, 'tokenizer_config.json'), '[');
    expect(await refusal()).toMatch(/tokenizer_config\.json: is not JSON/);
  });

  test('an end-of-sequence token that is not in the vocabulary', async () => {
    await change('tokenizer_config.json', { eos_token: '</s>' });
    expect(await refusal()).toMatch(/eos_token: "<\/s>" is not in the vocabulary/);
  });

  type Json = Record<string, unknown>;
  const withModel = (change: (model: Json & { vocab: Json; merges: unknown[] }) => Json) => (json: Json) => ({
    model: { ...(json.model as Json), ...change(json.model as never) },
  });
  const withVocab = (more: Json) => withModel(({ vocab }) => ({ vocab: { ...vocab, ...more } }));
  const withMerge = (merge: unknown) => withModel(({ merges }) => ({ merges: [merge, ...merges] }));
  const withAdded = (more: Json) => (json: Json) => ({ added_tokens: [...(json.added_tokens as Json[]), more] });
  const nested = (depth: number): Json =>
    depth === 0 ? { type: 'ByteLevel' } : { type: 'Sequence', pretokenizers: [nested(depth - 1)] };

  test.each<[string, (json: Json) => Json, RegExp]>([
    ['merges of numbers', withMerge(1), /model\.merges\.0: found 1, expected two tokens/],
    ['a merge of three', withMerge('a b c'), /model\.merges\.0: found "a b c", expected two tokens/],
    ['a merge of an unknown token', withMerge(['a', 'zzz']), /model\.merges\.0: "zzz" of .* is not in the vocabulary/],
    ['a merge whose result is unknown', withMerge(['z', 'q']), /model\.merges\.0: "zq" of .* is not in the vocabulary/],
    ['no merges', withModel(() => ({ merges: undefined })), /model\.merges: expected a list of merges/],
    ['no vocabulary', withModel(() => ({ vocab: undefined })), /model\.vocab: expected tokens with their ids/],
    ['ids that are no numbers', withVocab({ a: '97' }), /model\.vocab: token "a": found "97", expected a whole number/],
    ['negative ids', withVocab({ zz: -1 }), /model\.vocab: token "zz": found -1/],
    ['ids beyond all tables', withVocab({ zz: 1e9 }), /model\.vocab: token "zz": found 1000000000/],
    ['an id twice', withVocab({ zz: 20 }), /model\.vocab: tokens ".*" and "zz" have the same id 20/],
    [
      'an added token with an id of its own',
      withAdded({ id: 900, content: 'zz' }),
      /added_tokens\.\d+\.id: 900, but .* \d+: that of/,
    ],
    ['an added id that is text', withAdded({ id: '1', content: 'zz' }), /added_tokens\.\d+\.id: found "1"/],
    [
      'a model that nobody knows',
      () => ({ model: { type: 'Oracle' } }),
      /model\.type: found "Oracle", expected BPE, U/,
    ],
    ['no model', () => ({ model: undefined }), /model: is missing/],
    [
      'an unknown pre-tokeniser',
      () => ({ pre_tokenizer: { type: 'Crystal' } }),
      /pre_tokenizer\.type: found "Crystal"/,
    ],
    ['an unknown decoder', () => ({ decoder: { type: 'Crystal' } }), /decoder\.type: found "Crystal"/],
    [
      'a sequence of numbers',
      () => ({ pre_tokenizer: { type: 'Sequence', pretokenizers: [1] } }),
      /pretokenizers\.0: found 1/,
    ],
    [
      'a pattern that is missing',
      () => ({ normalizer: { type: 'Replace', content: '' } }),
      /normalizer\.pattern: is missing/,
    ],
    [
      'steps nested more deeply than any are',
      () => ({ pre_tokenizer: nested(100) }),
      /pre_tokenizer: is nested more than 16 levels/,
    ],
    ['steps nested without end', () => ({ pre_tokenizer: nested(1000) }), /nested more than 256 levels deep/],
    [
      'a template that names a token it does not have',
      () => ({
        post_processor: { type: 'TemplateProcessing', single: [bos('constructor'), sequence], special_tokens: {} },
      }),
      /special_tokens: "constructor", with which texts begin, is missing/,
    ],
    [
      'an unknown token of Unigram',
      () => ({ added_tokens: [], model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 1 } }),
      /model\.unk_id: 1 is not among the 1 tokens/,
    ],
    [
      'scores that are text',
      () => ({ model: { type: 'Unigram', vocab: [['a', 'b']] } }),
      /model\.vocab\.0: found \["a","b"\]/,
    ],
  ])('%s', async (_, changed, message) => {
    const path = join(directory, 'tokenizer.json');
    const json = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...json, ...changed(json) }));
    const told = await refusal();
    expect(told).toMatch(message);
    expect(told).toMatch(/^1 problem/);
  });

  test('a pipe in the place of a file', async () => {
    await rm(join(directory, 'tokenizer.json'));
    execFileSync('mkfifo', [join(directory, 'tokenizer.json')]);
    await expect(loadTokenizer(directory)).rejects.toThrow('is a pipe, not a file');
  });
});
