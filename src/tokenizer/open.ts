import { RequestError } from '../errors.ts';
import { byteLevelCodec } from './byte-level.ts';
import type { Codec } from './codec.ts';
import {
  fingerprintOf,
  readModelSettings,
  readTokenizerFiles,
  type TokenizerFiles,
  writeTokenizerFiles,
} from './files.ts';
import { generalCodec } from './general.ts';
import { endIdsOf, type ModelSettings, parseModelSettings } from './generation-config.ts';
import { sentencePieceCodec } from './sentencepiece.ts';
import type { Tokenizer } from './tokenizer.ts';
import {
  type Component,
  parseSpecialTokensMap,
  parseTokenizerConfig,
  parseTokenizerJson,
  type SpecialTokensMap,
} from './tokenizer-json.ts';

/**
 * Reads a Hugging Face tokenizer from a directory: tokenizer.json, and where present tokenizer_config.json,
 * special_tokens_map.json and chat_template.jinja; of a model beside it, how its texts end.
 * Throws RequestError where a file is missing or broken, or names a token that the vocabulary does not hold.
 */
export async function loadTokenizer(directory: string): Promise<Tokenizer> {
  const files = await readTokenizerFiles(directory);
  const beside = await readModelSettings(directory);
  try {
    return openTokenizer(files, parseModelSettings(beside));
  } catch (error) {
    throw error instanceof RequestError ? new RequestError(error.problems, directory) : error;
  }
}

/** The tokenizer that the files describe. */
export function openTokenizer(files: TokenizerFiles, settings: ModelSettings = {}): Tokenizer {
  const json = parseTokenizerJson(files.get('tokenizer.json')!);
  const optional = <T>(name: string, parse: (bytes: Uint8Array) => T): T | undefined => {
    const bytes = files.get(name);
    return bytes && parse(bytes);
  };
  const config = optional('tokenizer_config.json', parseTokenizerConfig) ?? {};
  const map = optional('special_tokens_map.json', parseSpecialTokensMap) ?? {};
  const codec = byteLevelCodec(json) ?? sentencePieceCodec(json) ?? generalCodec(json, config);
  const idOf = (role: TokenRole) => specialId(role, config[role] ?? map[role], codec);
  const bosId = idOf('bos_token');
  const eosId = idOf('eos_token');
  return {
    vocabSize: codec.vocabSize,
    bosId,
    eosId,
    padId: idOf('pad_token'),
    endIds: endIdsOf(settings, eosId),
    generationConfig: settings.generationConfig,
    addsBos: bosId !== undefined && (config.add_bos_token ?? startsWithToken(json.post_processor)),
    chatTemplate:
      optional('chat_template.jinja', (bytes) => new TextDecoder().decode(bytes)) ?? config.chat_template ?? undefined,
    fingerprint: fingerprintOf(files),
    encode: (text) => codec.encode(text),
    encodeWithOffsets: (text) => codec.encodeWithOffsets(text),
    decode: (ids, options) => codec.decode(ids, options),
    tokenToId: (token) => codec.tokenToId(token),
    idToToken: (id) => codec.idToToken(id),
    save: (directory) => writeTokenizerFiles(files, directory),
  };
}

type TokenRole = 'bos_token' | 'eos_token' | 'pad_token';

function specialId(role: TokenRole, token: SpecialTokensMap[TokenRole], codec: Codec): number | undefined {
  if (token === null || token === undefined) return undefined;
  const id = codec.tokenToId(token);
  if (id !== undefined) return id;
  throw new RequestError({
    message: `${JSON.stringify(token)} is not in the vocabulary`,
    where: `tokenizer_config.json.${role}`,
    hint: 'add it to `added_tokens` of tokenizer.json, or name a token that is there',
  });
}

/** Whether the post-processor puts a special token before a single text. */
function startsWithToken(processor: Component | null): boolean {
  switch (processor?.type) {
    case 'TemplateProcessing':
      return 'SpecialToken' in ((processor.single as object[] | undefined)?.[0] ?? {});
    case 'Sequence':
      return (processor.processors as Component[]).some(startsWithToken);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return true;
    default:
      return false;
  }
}
