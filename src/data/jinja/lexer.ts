import { TemplateFault, unsupported } from './fault.ts';
import { isSpace, space, trimmedEnd, trimmedStart } from './space.ts';

/** `op` is an operator or bracket; `data` is text outside of tags. */
export type TokenType =
  | 'data'
  | 'variable_begin'
  | 'variable_end'
  | 'block_begin'
  | 'block_end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'op'
  | 'eof';

export interface Token {
  type: TokenType;
  value: string;
  /** 1-based. */
  line: number;
}

const sticky = (source: string) => new RegExp(source, 'iuy');
const patterns = {
  raw: sticky(`\\{%([-+]?)[${space}]*raw[${space}]*(?:-%\\}[${space}]*|%\\})`),
  endRaw: new RegExp(`\\{%([-+]?)[${space}]*endraw[${space}]*(?:\\+%\\}|-%\\}[${space}]*|%\\}\\n?)`, 'gu'),
  float: sticky('(?<!\\.)(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?e[+-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)'),
  integer: sticky('0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\\da-f])+|[1-9](?:_?\\d)*|0(?:_?0)*'),
  name: sticky('[\\p{L}\\p{N}\\p{M}_]+'),
  op: sticky('\\*\\*|//|==|!=|>=|<=|[-+*/%~[\\](){}<>=.:|,;]'),
};
const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/**
 * The tokens of a template, by the rules of Python's jinja2 with `trim_blocks` and `lstrip_blocks`: a newline after a
 * block is removed, and so is white space between the beginning of a line and a block.
 * @throws TemplateFault
 */
export function tokenize(template: string): Token[] {
  const source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '');
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let startsLine = true;

  const advance = (to: number): void => {
    for (let i = at; i < to; i++) if (source[i] === '\n') line++;
    if (to > at) startsLine = source[to - 1] === '\n';
    at = to;
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  /** Adds the text before a tag, without what the tag's sign and `lstrip_blocks` remove. */
  const pushData = (text: string, sign: string | undefined, isBlock: boolean): void => {
    let end = text.length;
    if (sign === '-') end = trimmedEnd(text);
    else if (sign !== '+' && isBlock) {
      const lineStart = text.lastIndexOf('\n') + 1;
      const isBlank = trimmedStart(text.slice(lineStart)) === text.length - lineStart;
      if (isBlank && (lineStart > 0 || startsLine)) end = lineStart;
    }
    if (end > 0) tokens.push({ type: 'data', value: text.slice(0, end), line });
  };
  const skipSpace = (from: number): number => {
    let to = from;
    while (to < source.length && isSpace(source[to]!)) to++;
    return to;
  };
  /** Where the text continues after a tag that ends at `end` with the given sign. */
  const afterTag = (end: number, sign: string): number => {
    if (sign === '-') return skipSpace(end);
    return sign !== '+' && source[end] === '\n' ? end + 1 : end;
  };

  const comment = (begin: number): void => {
    const end = source.indexOf('#}', begin);
    if (end < 0) throw new TemplateFault('a comment {# is not closed', line);
    const sign = end > begin ? source[end - 1]! : '';
    advance(afterTag(end + 2, sign === '-' || sign === '+' ? sign : ''));
  };
  const raw = (begin: number): void => {
    const startLine = line;
    advance(begin);
    patterns.endRaw.lastIndex = at;
    const end = patterns.endRaw.exec(source);
    if (!end) throw new TemplateFault('{% raw %} is not closed', startLine);
    pushData(source.slice(at, end.index), end[1], true);
    advance(patterns.endRaw.lastIndex);
  };
  const tag = (isVariable: boolean): void => {
    const kind = isVariable ? 'variable' : 'block';
    const startLine = line;
    const open: string[] = [];
    const close = isVariable ? '}}' : '%}';
    while (true) {
      advance(skipSpace(at));
      if (at >= source.length) throw new TemplateFault(`a tag ${isVariable ? '{{' : '{%'} is not closed`, startLine);
      const sign = source[at] === '-' || (source[at] === '+' && !isVariable) ? source[at]! : '';
      if (open.length === 0 && source.startsWith(close, at + sign.length)) {
        tokens.push({ type: `${kind}_end`, value: close, line });
        const end = at + sign.length + 2;
        advance(isVariable ? (sign === '-' ? skipSpace(end) : end) : afterTag(end, sign));
        return;
      }
      const token = nextToken();
      if (token.type === 'op' && token.value in closing) open.push(closing[token.value]!);
      else if (token.type === 'op' && ')]}'.includes(token.value) && open.pop() !== token.value)
        throw new TemplateFault(`${JSON.stringify(token.value)} has no opening bracket`, line);
      tokens.push(token);
    }
  };
  const nextToken = (): Token => {
    const startLine = line;
    for (const type of ['float', 'integer', 'name'] as const) {
      const found = match(patterns[type]);
      if (!found) continue;
      advance(at + found[0].length);
      if (type === 'name' && !/^[\p{L}\p{Nl}_]/u.test(found[0]))
        throw new TemplateFault(`${JSON.stringify(found[0])} is not a name`, startLine);
      return { type, value: type === 'name' ? found[0] : found[0].replaceAll('_', ''), line: startLine };
    }
    const quote = source[at]!;
    if (quote === "'" || quote === '"') {
      let end = at + 1;
      while (end < source.length && source[end] !== quote) end += source[end] === '\\' ? 2 : 1;
      if (end >= source.length) throw new TemplateFault('a string is not closed', startLine);
      const value = unescaped(source.slice(at + 1, end), startLine);
      advance(end + 1);
      return { type: 'string', value, line: startLine };
    }
    const found = match(patterns.op);
    if (!found) throw new TemplateFault(`the character ${JSON.stringify(quote)} is not expected here`, startLine);
    advance(at + found[0].length);
    return { type: 'op', value: found[0], line: startLine };
  };

  while (at < source.length) {
    const begin = nextTag(source, at);
    if (begin < 0) {
      pushData(source.slice(at), '+', false);
      break;
    }
    const text = source.slice(at, begin);
    patterns.raw.lastIndex = begin;
    const rawBegin = patterns.raw.exec(source);
    const sign = rawBegin ? rawBegin[1]! : /[-+]/.test(source[begin + 2] ?? '') ? source[begin + 2]! : '';
    const isVariable = source[begin + 1] === '{';
    pushData(text, sign, !isVariable);
    if (rawBegin) {
      advance(begin);
      raw(begin + rawBegin[0].length);
      continue;
    }
    const isComment = source[begin + 1] === '#';
    advance(begin);
    if (!isComment) tokens.push({ type: isVariable ? 'variable_begin' : 'block_begin', value: '', line });
    advance(begin + 2 + sign.length);
    if (isComment) comment(at);
    else tag(isVariable);
  }
  return [...tokens, { type: 'eof', value: '', line }];
}

function nextTag(source: string, from: number): number {
  for (let at = source.indexOf('{', from); at >= 0; at = source.indexOf('{', at + 1)) {
    if ('{%#'.includes(source[at + 1] ?? ' ')) return at;
  }
  return -1;
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  "'": "'",
  '"': '"',
  '\\': '\\',
  '\n': '',
};

/** The text of a string literal, with Python's `unicode-escape` escapes; unknown escapes are kept as they are. */
function unescaped(literal: string, line: number): string {
  return literal.replace(
    /\\(?:([0-7]{1,3})|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/gsu,
    (whole, octal, x, u, long, other) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      const hex = x ?? u ?? long;
      if (hex !== undefined) {
        const code = Number.parseInt(hex, 16);
        if (code > 0x10ffff) throw new TemplateFault(`${whole} is not a character`, line);
        return String.fromCodePoint(code);
      }
      if ('xuUN'.includes(other) || other.codePointAt(0) > 127) throw unsupported(`the escape ${whole}`, line);
      return escapes[other] ?? whole;
    },
  );
}
