import { TemplateFault, unsupported } from './fault.ts';
import { type Token, type TokenType, tokenize } from './lexer.ts';

/** Limits on the nesting of brackets, operators and blocks, and on chains such as a + b + c, to limit recursion. */
const limits = { depth: 100, links: 500 };

/** The tokens of a template in order. */
export class TokenStream {
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(template: string) {
    this.#tokens = tokenize(template);
  }

  get current(): Token {
    return this.#tokens[this.#next]!;
  }

  get line(): number {
    return this.current.line;
  }

  get following(): Token | undefined {
    return this.#tokens[this.#next + 1];
  }

  /** Returns the current token and moves on to the next. */
  take(): Token {
    const token = this.current;
    if (token.type !== 'eof') this.#next++;
    return token;
  }

  is(type: TokenType, ...values: readonly string[]): boolean {
    return this.current.type === type && (values.length === 0 || values.includes(this.current.value));
  }

  /** Takes the current token if it is the given one; returns whether it was. */
  skip(type: TokenType, value: string): boolean {
    const found = this.is(type, value);
    if (found) this.take();
    return found;
  }

  expect(type: TokenType, value?: string): Token {
    if (this.current.type === type && (value === undefined || this.current.value === value)) return this.take();
    throw this.unexpected(value === undefined ? words[type] : JSON.stringify(value));
  }

  unexpected(expected: string): TemplateFault {
    const { type, value } = this.current;
    const found =
      type === 'eof' ? 'the template ends' : `there is ${value === '' ? words[type] : JSON.stringify(value)}`;
    return new TemplateFault(`${found} where ${expected} is expected`, this.line);
  }

  deeper<T>(parse: () => T): T {
    if (++this.#depth > limits.depth) throw unsupported(`nesting deeper than ${limits.depth}`, this.line);
    const result = parse();
    this.#depth--;
    return result;
  }

  /** Must be called for each link of a chain, with its number. */
  checkLinks(links: number): void {
    if (links > limits.links) throw unsupported(`an expression of more than ${limits.links} parts`, this.line);
  }
}

const words: Readonly<Record<TokenType, string>> = {
  data: 'text',
  variable_begin: '{{',
  variable_end: '}}',
  block_begin: '{%',
  block_end: '%}',
  name: 'a name',
  string: 'a string',
  integer: 'a whole number',
  float: 'a number',
  op: 'an operator',
  eof: 'the end',
};
