/**
 * Parses JSON and refuses a key that stands twice in one object, where `JSON.parse` would silently keep the last.
 * @throws SyntaxError
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const duplicate = firstDuplicateKey(text);
  if (duplicate !== undefined) throw new SyntaxError(`key ${JSON.stringify(duplicate)} stands twice in one object`);
  return value;
}

/** The text is known to be valid JSON, so strings and brackets are all that needs to be seen. */
function firstDuplicateKey(text: string): string | undefined {
  const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/gs;
  const open: Set<string>[] = [];
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found, colon] = match;
    if (found === '{') open.push(new Set());
    else if (found === '}') open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(found.slice(0, -colon.length)) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** True for what JSON calls an object. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
