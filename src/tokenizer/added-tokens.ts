import type { AddedToken } from './tokenizer-json.ts';

/** A section of a text: an added token with its id, or plain text. Offsets are in UTF-16 units, `end` is exclusive. */
export interface Section {
  start: number;
  end: number;
  id: number | undefined;
}

/**
 * Returns a function that splits a text at its added tokens (special tokens, and words missing from the vocabulary), as
 * Hugging Face's tokenizers do: first at tokens that the normaliser must not touch, then at the others. The leftmost
 * match comes first, and the longest of those that start at the same place.
 */
export function addedTokenSplitter(tokens: readonly AddedToken[]): (text: string) => Section[] {
  const named = tokens.filter(({ content }) => content !== '');
  const passes = [
    named.filter(({ normalized, special }) => !(normalized ?? !special)),
    named.filter(({ normalized, special }) => normalized ?? !special),
  ]
    .filter((pass) => pass.length > 0)
    .map(sectionFinder);
  return (text) =>
    passes.reduce(
      (sections, find) => sections.flatMap((section) => (section.id === undefined ? find(text, section) : [section])),
      text === '' ? [] : [{ start: 0, end: text.length, id: undefined } as Section],
    );
}

type SectionFinder = (text: string, within: Section) => Section[];

function sectionFinder(tokens: readonly AddedToken[]): SectionFinder {
  const byContent = new Map(tokens.map((token) => [token.content, token]));
  const longestFirst = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map(escapePattern).join('|'), 'gu');
  return (text, within) => {
    const part = text.slice(within.start, within.end);
    const sections: Section[] = [];
    let taken = 0;
    const add = (start: number, end: number, id: number | undefined) =>
      sections.push({ start: within.start + start, end: within.start + end, id });
    for (const match of part.matchAll(pattern)) {
      const token = byContent.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (token.single_word && (endsWithWord.test(part.slice(0, start)) || startsWithWord.test(part.slice(end))))
        continue;
      if (token.lstrip) start = Math.max(taken, part.slice(0, start).search(/\p{White_Space}*$/u));
      if (token.rstrip) end += /^\p{White_Space}*/u.exec(part.slice(end))![0].length;
      if (taken < start) add(taken, start, undefined);
      add(start, end, token.id);
      taken = end;
    }
    if (taken < part.length) add(taken, part.length, undefined);
    return sections;
  };
}

/** `\w` as Rust's regular expressions define it. */
const wordCharacter = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]';
const startsWithWord = new RegExp(`^${wordCharacter}`, 'u');
const endsWithWord = new RegExp(`${wordCharacter}$`, 'u');

const escapePattern = (text: string): string => text.replace(/[$()*+./?[\\\]^{|}]/g, '\\$&');
