/**
 * Parses JSON and refuses what `JSON.parse` lets pass in silence: a key that stands twice in one object (the last would
 * win) and half of a surrogate pair.
 * @throws SyntaxError
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  checkStrings(text);
  return value;
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
    const string = JSON.parse(text.slice(start, end)) as string;
    if (/\p{Surrogate}/u.test(string))
      throw new SyntaxError(`${text.slice(start, end)} holds half of a surrogate pair`);
    const keys = open.at(-1);
    if (!keys || !isKey(text, end)) continue;
    if (keys.has(string)) throw new SyntaxError(`key ${JSON.stringify(string)} stands twice in one object`);
    keys.add(string);
  }
}

/** Start and end of each string, quotes included, in a text that is valid JSON. */
export function* jsonStrings(text: string): Generator<[start: number, end: number]> {
  for (let start = text.indexOf('"'); start >= 0; ) {
    let end = start + 1;
    while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    yield [start, end + 1];
    start = text.indexOf('"', end + 1);
  }
}

/** True where a colon follows the string that ends at `end`. */
function isKey(text: string, end: number): boolean {
  let next = end;
  while (' \t\n\r'.includes(text[next]!)) next++;
  return text[next] === ':';
}

/** True for what JSON calls an object. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
