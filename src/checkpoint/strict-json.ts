import { parseJson } from '../config/json.ts';

/** The deepest nesting of objects and lists: far more than any file of a model has, and no burden on the parser. */
const mostDepth = 64;

/**
 * Parses JSON, and rejects what `JSON.parse` accepts silently: a key that appears twice in one object (the last one
 * would win) and half of a surrogate pair. Also rejects deep nesting, for which `JSON.parse` may need unlimited memory.
 * @throws SyntaxError
 */
export function parseStrictJson(text: string): unknown {
  checkDepth(text);
  const value: unknown = parseJson(text);
  checkStrings(text);
  return value;
}

/** Checks the nesting of brackets outside strings. The text need not be valid JSON. */
function checkDepth(text: string): void {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
    } else if (character === '{' || character === '[') {
      if (++depth > mostDepth) throw new SyntaxError(`objects and lists are more than ${mostDepth} deep`);
    } else if (character === '}' || character === ']') depth--;
  }
}

function checkStrings(text: string): void {
  const open: Set<string>[] = [];
  let from = 0;
  for (const [start, end] of jsonStrings(text)) {
    for (let i = from; i < start; i++) {
      if (text[i] === '{') open.push(new Set());
      else if (text[i] === '}') open.pop();
    }
    from = end;
    const written = text.slice(start + 1, end - 1);
    // In text decoded from UTF-8, only an escape can give half of a pair.
    const string = written.includes('\\') ? (JSON.parse(`"${written}"`) as string) : written;
    if (string !== written && /\p{Surrogate}/u.test(string))
      throw new SyntaxError(`"${written}" holds half of a surrogate pair`);
    const keys = open.at(-1);
    if (!keys || !isKey(text, end)) continue;
    if (keys.has(string)) throw new SyntaxError(`key ${JSON.stringify(string)} appears twice in one object`);
    keys.add(string);
  }
}

/** The start and end of each string, including quotes, in a text that is valid JSON. */
export function* jsonStrings(text: string): Generator<[start: number, end: number]> {
  for (let start = text.indexOf('"'); start >= 0; ) {
    let end = start + 1;
    while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    yield [start, end + 1];
    start = text.indexOf('"', end + 1);
  }
}

/** True if a colon follows the string that ends at `end`. */
function isKey(text: string, end: number): boolean {
  let next = end;
  while (' \t\n\r'.includes(text[next]!)) next++;
  return text[next] === ':';
}

/** True for an object in the sense of JSON. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
