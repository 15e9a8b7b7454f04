import type { Expression, Filter, Parameter, Statement, Target } from './ast.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { parseExpression, parsePrimary, parseTuple } from './parse-expression.ts';
import { parseFilter } from './parse-filters.ts';
import { TokenStream } from './token-stream.ts';

/** Limit on the length of a template; those of models have about ten thousand characters. */
const longest = 1_000_000;

/**
 * Parses a template in the language of Python's jinja2, with its loop controls and transformers' `generation` tag.
 * @throws TemplateFault with the line that is wrong or not supported
 */
export function parse(template: string): Statement[] {
  if (template.length > longest) {
    throw new TemplateFault(
      `has ${template.length.toLocaleString('en')} characters; ${longest.toLocaleString('en')} are allowed`,
    );
  }
  return parseBody({ tokens: new TokenStream(template), loops: 0, line: 1 }, []);
}

interface Place {
  tokens: TokenStream;
  /** Number of enclosing loops that `break` and `continue` can refer to. */
  loops: number;
  /** Line of the tag whose body is being parsed. */
  line: number;
}

/** Parses statements up to the name of a tag in `ends`, or up to the end of the template if there are none. */
function parseBody(place: Place, ends: readonly string[]): Statement[] {
  const { tokens } = place;
  const body: Statement[] = [];
  while (!tokens.is('eof')) {
    const { line } = tokens;
    if (tokens.is('data')) body.push({ kind: 'data', text: tokens.take().value, line });
    else if (tokens.is('variable_begin')) {
      tokens.take();
      body.push({ kind: 'output', value: parseTuple(tokens), line });
      tokens.expect('variable_end');
    } else {
      tokens.expect('block_begin');
      if (tokens.is('name', ...ends) && ends.length > 0) return body;
      body.push(...tokens.deeper(() => parseStatement(place)));
      tokens.expect('block_end');
    }
  }
  if (ends.length === 0) return body;
  throw new TemplateFault(`the template ends where {% ${ends.at(-1)} %} is expected`, place.line);
}

/** Parses the body of a tag and takes the name of its end tag. */
function parseBlock(place: Place, end: string): Statement[] {
  place.tokens.expect('block_end');
  const body = parseBody(place, [end]);
  place.tokens.take();
  return body;
}

function parseStatement(around: Place): Statement[] {
  const { tokens } = around;
  const { value: tag, line } = tokens.expect('name');
  const place = { ...around, line };
  const outside = { ...place, loops: 0 };
  switch (tag) {
    case 'if':
      return [parseIf(place, line)];
    case 'for':
      return [parseFor(place, line)];
    case 'set':
      return [parseSet(outside, line)];
    case 'print':
      return parsePrint(tokens, line);
    case 'with':
      return [parseWith(place, line)];
    case 'macro': {
      const { value: name } = tokens.expect('name');
      const parameters = parseParameters(tokens);
      return [{ kind: 'macro', name, parameters, body: parseBlock(outside, 'endmacro'), line }];
    }
    case 'call': {
      const parameters = tokens.is('op', '(') ? parseParameters(tokens) : [];
      const call = parseExpression(tokens);
      if (call.kind !== 'call') throw new TemplateFault('{% call %} needs a call', line);
      return [{ kind: 'call-block', call, parameters, body: parseBlock(outside, 'endcall'), line }];
    }
    case 'filter': {
      const filter = parseFilterChain(tokens);
      return [{ kind: 'filter-block', filter, body: parseBlock(outside, 'endfilter'), line }];
    }
    case 'generation':
      return [{ kind: 'generation', body: parseBlock(outside, 'endgeneration'), line }];
    case 'break':
    case 'continue':
      if (place.loops > 0) return [{ kind: tag, line }];
      throw new TemplateFault(`{% ${tag} %} is outside of a loop`, line);
    default:
      throw unsupported(`the tag {% ${tag} %}`, line);
  }
}

function parseIf(place: Place, line: number): Statement {
  const { tokens } = place;
  const branches: { test: Expression; body: Statement[] }[] = [];
  let otherwise: Statement[] = [];
  for (let tag = 'if'; tag === 'if' || tag === 'elif'; ) {
    const test = parseTuple(tokens, { withCondition: false });
    tokens.expect('block_end');
    branches.push({ test, body: parseBody(place, ['elif', 'else', 'endif']) });
    tag = tokens.take().value;
    if (tag === 'else') otherwise = parseBlock(place, 'endif');
  }
  return { kind: 'if', branches, otherwise, line };
}

function parseFor(place: Place, line: number): Statement {
  const { tokens } = place;
  const target = parseTarget(tokens, { end: 'in' });
  tokens.expect('name', 'in');
  const iterable = parseTuple(tokens, { withCondition: false, end: 'recursive' });
  const test = tokens.skip('name', 'if') ? parseExpression(tokens) : undefined;
  const recursive = tokens.skip('name', 'recursive');
  tokens.expect('block_end');
  const body = parseBody({ ...place, loops: place.loops + 1 }, ['else', 'endfor']);
  const otherwise = tokens.take().value === 'else' ? parseBlock(place, 'endfor') : [];
  return { kind: 'for', target, iterable, test, recursive, body, otherwise, line };
}

function parseSet(place: Place, line: number): Statement {
  const { tokens } = place;
  const target = parseTarget(tokens, { withNamespace: true });
  if (tokens.skip('op', '=')) return { kind: 'set', target, value: parseTuple(tokens), line };
  const filter = tokens.skip('op', '|') ? parseFilterChain(tokens) : undefined;
  return { kind: 'set-block', target, filter, body: parseBlock(place, 'endset'), line };
}

function parsePrint(tokens: TokenStream, line: number): Statement[] {
  const printed: Statement[] = [];
  while (!tokens.is('block_end')) {
    if (printed.length > 0) tokens.expect('op', ',');
    printed.push({ kind: 'output', value: parseExpression(tokens), line });
  }
  return printed;
}

function parseWith(place: Place, line: number): Statement {
  const { tokens } = place;
  const values: { target: Target; value: Expression }[] = [];
  while (!tokens.is('block_end')) {
    if (values.length > 0) tokens.expect('op', ',');
    const target = parseTarget(tokens);
    tokens.expect('op', '=');
    values.push({ target, value: parseExpression(tokens) });
  }
  return { kind: 'with', values, body: parseBlock(place, 'endwith'), line };
}

/** Parses the filters of a block; the input of the innermost one is the block. */
function parseFilterChain(tokens: TokenStream): Filter {
  let filter = parseFilter(tokens, undefined);
  for (let links = 1; tokens.skip('op', '|'); links++) {
    tokens.checkLinks(links);
    filter = parseFilter(tokens, filter);
  }
  return filter;
}

function parseParameters(tokens: TokenStream): Parameter[] {
  const parameters: Parameter[] = [];
  tokens.expect('op', '(');
  while (!tokens.is('op', ')')) {
    if (parameters.length > 0) tokens.expect('op', ',');
    const { value: name, line } = tokens.expect('name');
    const fallback = tokens.skip('op', '=') ? parseExpression(tokens) : undefined;
    if (!fallback && parameters.at(-1)?.fallback) {
      throw new TemplateFault(`the parameter ${name} without a default follows one with a default`, line);
    }
    if (parameters.some((other) => other.name === name))
      throw new TemplateFault(`the parameter ${name} appears twice`, line);
    parameters.push({ name, fallback });
  }
  tokens.expect('op', ')');
  return parameters;
}

/** Parses the target of an assignment: names, optionally in parentheses, and with `withNamespace` also `ns.name`. */
function parseTarget(
  tokens: TokenStream,
  { end, withNamespace = false }: { end?: string; withNamespace?: boolean } = {},
): Target {
  const { line } = tokens;
  const items: Target[] = [];
  let isTuple = false;
  while (!tokens.is('block_end') && !(end !== undefined && tokens.is('name', end))) {
    items.push(parseTargetItem(tokens, withNamespace));
    if (!tokens.skip('op', ',')) break;
    isTuple = true;
  }
  if (items.length === 0) throw tokens.unexpected('a name');
  return isTuple ? { kind: 'tuple', items, line } : items[0]!;
}

function parseTargetItem(tokens: TokenStream, withNamespace: boolean): Target {
  const { line } = tokens;
  const { following } = tokens;
  if (withNamespace && tokens.is('name') && following?.type === 'op' && following.value === '.') {
    const name = tokens.take().value;
    tokens.take();
    return { kind: 'namespace', name, attribute: tokens.expect('name').value, line };
  }
  return targetOf(parsePrimary(tokens));
}

function targetOf(expression: Expression): Target {
  const { line } = expression;
  if (expression.kind === 'name') return { kind: 'name', name: expression.name, line };
  if (expression.kind === 'tuple') return { kind: 'tuple', items: expression.items.map(targetOf), line };
  throw new TemplateFault('a value can be assigned to names only', line);
}
