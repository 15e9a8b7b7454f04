/** Limit on nested lists and objects, because whatever walks through a value or prints it uses stack for each level. */
const maxDepth = 256;

const [quote, backslash] = ['"'.charCodeAt(0), '\\'.charCodeAt(0)];
const [openList, closeList, openObject, closeObject] = ['[', ']', '{', '}'].map((bracket) => bracket.charCodeAt(0));

/** Parses JSON. @throws SyntaxError if the text is not JSON, or nests lists and objects too deeply */
export function parseJson(text: string): unknown {
  if (isDeep(text)) throw new SyntaxError(`lists and objects are nested more than ${maxDepth} levels deep`);
  return JSON.parse(text);
}

function isDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = closingQuote(text, at);
    else if (code === openList || code === openObject) {
      if (++depth > maxDepth) return true;
    } else if (code === closeList || code === closeObject) depth--;
  }
  return false;
}

function closingQuote(text: string, opening: number): number {
  for (let at = opening + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === backslash) at++;
    else if (code === quote) return at;
  }
  return text.length;
}
