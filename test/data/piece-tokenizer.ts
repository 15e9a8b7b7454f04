import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';

/** A tokenizer whose every decision can be seen: the longest of the given pieces, else one character. */
export function pieceTokenizer(
  pieces: readonly string[],
  options: { bos?: string; eos?: string; addsBos?: boolean; chatTemplate?: string } = {},
): Tokenizer {
  const ascii = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  const vocabulary = [...pieces, ...ascii];
  const byLength = [...vocabulary].sort((a, b) => b.length - a.length);
  const idOf = (token: string) => {
    const id = vocabulary.indexOf(token);
    return id < 0 ? undefined : id;
  };
  const encodeWithOffsets = (text: string) => {
    const ids: number[] = [];
    const offsets: number[] = [];
    for (let start = 0; start < text.length; ) {
      const piece = byLength.find((candidate) => text.startsWith(candidate, start));
      if (piece === undefined) throw new Error(`no piece for ${JSON.stringify(text[start])}`);
      ids.push(vocabulary.indexOf(piece));
      offsets.push(start, start + piece.length);
      start += piece.length;
    }
    return { ids: Int32Array.from(ids), offsets: Int32Array.from(offsets) };
  };
  const eosId = options.eos === undefined ? undefined : idOf(options.eos);
  return {
    vocabSize: vocabulary.length,
    bosId: options.bos === undefined ? undefined : idOf(options.bos),
    eosId,
    padId: undefined,
    endIds: eosId === undefined ? [] : [eosId],
    generationConfig: undefined,
    prefixIds: options.addsBos ? [idOf(options.bos!)!] : [],
    chatTemplates: new Map(
      options.chatTemplate === undefined
        ? []
        : [['default', { source: options.chatTemplate, place: 'chat_template.jinja' }]],
    ),
    fingerprint: 'pieces',
    encode: (text) => encodeWithOffsets(text).ids,
    encodeWithOffsets,
    decode: (ids) => Array.from(ids, (id) => vocabulary[id]).join(''),
    tokenToId: idOf,
    idToToken: (id) => vocabulary[id],
    save: async () => {},
  };
}
