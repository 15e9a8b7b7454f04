import type { Arguments } from './ast.ts';
import { TemplateFault } from './fault.ts';
import { parseExpression } from './parse-expression.ts';
import type { TokenStream } from './token-stream.ts';

/** Parses items separated by commas, with an optional trailing comma, up to and including the closing bracket. */
export function itemsUntil<T>(tokens: TokenStream, close: string, parse: () => T): T[] {
  const items: T[] = [];
  while (!tokens.is('op', close)) {
    items.push(parse());
    if (!tokens.skip('op', ',')) break;
  }
  tokens.expect('op', close);
  return items;
}

export function parseArguments(tokens: TokenStream): Arguments {
  const { line } = tokens.expect('op', '(');
  const parsed: Arguments = { positional: [], named: [] };
  const { positional, named } = parsed;
  itemsUntil(tokens, ')', () => {
    const invalid = () => new TemplateFault('the arguments of a call are in the wrong order', line);
    if (tokens.skip('op', '*')) {
      if (parsed.rest || parsed.keywords) throw invalid();
      parsed.rest = parseExpression(tokens);
    } else if (tokens.skip('op', '**')) {
      if (parsed.keywords) throw invalid();
      parsed.keywords = parseExpression(tokens);
    } else if (tokens.is('name') && tokens.following?.type === 'op' && tokens.following.value === '=') {
      if (parsed.keywords) throw invalid();
      const name = tokens.take().value;
      tokens.take();
      if (named.some(([other]) => other === name)) throw new TemplateFault(`the argument ${name} is given twice`, line);
      named.push([name, parseExpression(tokens)]);
    } else {
      if (parsed.rest || parsed.keywords || named.length > 0) throw invalid();
      positional.push(parseExpression(tokens));
    }
  });
  return parsed;
}
