import { RequestError } from '../errors.ts';
import { byteLevelCodec } from './byte-level.ts';
import { chatTemplatesOf } from './chat-templates.ts';
import type { Codec } from './codec.ts';
import type { Component } from './components.ts';
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
  copyHint,
  parseSpecialTokensMap,
  parseTokenizerConfig,
  parseTokenizerJson,
  type SpecialTokensMap,
} from './tokenizer-json.ts';

/**
 * Reads a Hugging Face tokenizer from a directory: tokenizer.json and, if present, tokenizer_config.json,
 * special_tokens_map.json and chat templates. If the directory also has a model's config.json or
 * generation_config.json, reads how its texts end.
 * @throws RequestError if a file is missing or broken, or names a token that is not in the vocabulary
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

/** The tokenizer that the files describe. @throws RequestError if a file is broken or a token is missing */
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
    prefixIds: prefixIdsOf(json.post_processor, config.add_bos_token, bosId),
    chatTemplates: chatTemplatesOf(files, config),
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
    hint: 'add it to `added_tokens` of tokenizer.json, or name a token that exists',
  });
}

/** The ids before a text: none if `add_bos_token` is false, BOS if it is true and the post-processor adds nothing. */
function prefixIdsOf(
  processor: Component | null,
  addBosToken: boolean | null | undefined,
  bosId: number | undefined,
): readonly number[] {
  if (addBosToken === false) return [];
  const prefix = processorPrefix(processor);
  return prefix.length === 0 && addBosToken && bosId !== undefined ? [bosId] : prefix;
}

/** The ids that a post-processor adds before a single text. */
function processorPrefix(processor: Component | null): readonly number[] {
  switch (processor?.type) {
    case 'TemplateProcessing':
      return templatePrefix(processor as unknown as Template);
    case 'Sequence':
      // A later processor wraps the output of the earlier ones.
      return (processor.processors as Component[]).toReversed().flatMap(processorPrefix);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return [(processor.cls as [token: string, id: number])[1]];
    default:
      return [];
  }
}

interface Template {
  single: readonly ({ SpecialToken: { id: string } } | { Sequence: object })[];
  special_tokens: Readonly<Record<string, { ids: readonly number[] }>>;
}

function templatePrefix({ single, special_tokens: tokens }: Template): number[] {
  const text = single.findIndex((piece) => 'Sequence' in piece);
  return single.slice(0, text).flatMap((piece) => {
    if (!('SpecialToken' in piece)) return [];
    const { id } = piece.SpecialToken;
    if (Object.hasOwn(tokens, id)) return tokens[id]!.ids;
    const where = 'tokenizer.json.post_processor.special_tokens';
    throw new RequestError({
      where,
      message: `${JSON.stringify(id)}, with which texts begin, is missing`,
      hint: copyHint,
    });
  });
}
