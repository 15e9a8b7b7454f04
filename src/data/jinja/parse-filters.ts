import type { Arguments, Expression, Filter } from './ast.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { filterNames } from './filters.ts';
import { parseArguments } from './parse-arguments.ts';
import { parseCall, parsePostfix, parsePrimary } from './parse-expression.ts';
import { testNames } from './tests.ts';
import type { TokenStream } from './token-stream.ts';

/** Parses filters, tests, and calls of their results. */
export function parseFilters(tokens: TokenStream, start: Expression): Expression {
  let expression = start;
  for (let links = 1; ; links++) {
    tokens.checkLinks(links);
    if (tokens.skip('op', '|')) expression = parseFilter(tokens, expression);
    else if (tokens.skip('name', 'is')) expression = parseTest(tokens, expression);
    else if (tokens.is('op', '(')) expression = parseCall(tokens, expression);
    else return expression;
  }
}

/** Parses the name and arguments of a filter, after the bar. */
export function parseFilter(tokens: TokenStream, input: Expression | undefined): Filter {
  const { value: name, line } = tokens.expect('name');
  if (!filterNames.has(name)) throw unsupported(`the filter ${JSON.stringify(name)}`, line);
  const given = tokens.is('op', '(') ? parseArguments(tokens) : { positional: [], named: [] };
  checkNames(name, given, line);
  return { kind: 'filter', name, input, ...given, line };
}

/** Checks the names of filters and tests that are arguments of other filters. */
function checkNames(filter: string, { positional }: Arguments, line: number): void {
  const place = { map: 0, select: 0, reject: 0, selectattr: 1, rejectattr: 1 }[filter];
  const name = place === undefined ? undefined : positional[place];
  if (name?.kind !== 'const' || typeof name.value !== 'string') return;
  const [known, kind] = filter === 'map' ? [filterNames, 'filter'] : [testNames, 'test'];
  if (!known.has(name.value)) throw unsupported(`the ${kind} ${JSON.stringify(name.value)}`, line);
}

function parseTest(tokens: TokenStream, input: Expression): Expression {
  const { line } = tokens;
  const isNegated = tokens.skip('name', 'not');
  const name = tokens.expect('name').value;
  if (!testNames.has(name)) throw unsupported(`the test ${JSON.stringify(name)}`, line);
  const test: Expression = { kind: 'test', name, input, ...testArguments(tokens), line };
  return isNegated ? { kind: 'unary', operator: 'not', operand: test, line } : test;
}

function testArguments(tokens: TokenStream): Arguments {
  if (tokens.is('op', '(')) return parseArguments(tokens);
  const isArgument =
    (['name', 'string', 'integer', 'float'] as const).some((type) => tokens.is(type)) || tokens.is('op', '[', '{');
  if (!isArgument || tokens.is('name', 'else', 'or', 'and')) return { positional: [], named: [] };
  if (tokens.is('name', 'is')) throw new TemplateFault('tests cannot be chained with `is`', tokens.line);
  return { positional: [parsePostfix(tokens, parsePrimary(tokens))], named: [] };
}
