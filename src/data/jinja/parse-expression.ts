import type { BinaryOperator, CompareOperator, Expression } from './ast.ts';
import { unsupported } from './fault.ts';
import { unsupportedMethods } from './methods.ts';
import { itemsUntil, parseArguments } from './parse-arguments.ts';
import { parseFilters } from './parse-filters.ts';
import type { TokenStream } from './token-stream.ts';

/** Parses an expression with the precedences of jinja2, which differ from Python's: `~` binds tighter than `+`. */
export function parseExpression(tokens: TokenStream, { withCondition = true } = {}): Expression {
  return tokens.deeper(() => (withCondition ? parseCondition(tokens) : parseOr(tokens)));
}

/** Parses one or more expressions; several, separated by commas, are a tuple. */
export function parseTuple(
  tokens: TokenStream,
  {
    withCondition = true,
    end,
    mayBeEmpty = false,
  }: { withCondition?: boolean; end?: string; mayBeEmpty?: boolean } = {},
): Expression {
  const { line } = tokens;
  const items: Expression[] = [];
  const isAtEnd = () =>
    tokens.is('variable_end') ||
    tokens.is('block_end') ||
    tokens.is('op', ')') ||
    (end !== undefined && tokens.is('name', end));
  let isTuple = false;
  while (!isAtEnd()) {
    items.push(parseExpression(tokens, { withCondition }));
    if (!tokens.skip('op', ',')) break;
    isTuple = true;
  }
  if (!isTuple && items.length === 1) return items[0]!;
  if (items.length === 0 && !mayBeEmpty) throw tokens.unexpected('an expression');
  return { kind: 'tuple', items, line };
}

function parseCondition(tokens: TokenStream): Expression {
  const { line } = tokens;
  let then = parseOr(tokens);
  for (let links = 1; tokens.skip('name', 'if'); links++) {
    tokens.checkLinks(links);
    const test = parseOr(tokens);
    const otherwise = tokens.skip('name', 'else') ? tokens.deeper(() => parseCondition(tokens)) : undefined;
    then = { kind: 'condition', test, then, otherwise, line };
  }
  return then;
}

const parseOr = (tokens: TokenStream): Expression => parseLogic(tokens, 'or', parseAnd);
const parseAnd = (tokens: TokenStream): Expression => parseLogic(tokens, 'and', parseNot);

function parseLogic(tokens: TokenStream, kind: 'and' | 'or', operand: (tokens: TokenStream) => Expression): Expression {
  const { line } = tokens;
  let left = operand(tokens);
  for (let links = 1; tokens.skip('name', kind); links++) {
    tokens.checkLinks(links);
    left = { kind, left, right: operand(tokens), line };
  }
  return left;
}

function parseNot(tokens: TokenStream): Expression {
  const { line } = tokens;
  if (!tokens.skip('name', 'not')) return parseComparison(tokens);
  return { kind: 'unary', operator: 'not', operand: tokens.deeper(() => parseNot(tokens)), line };
}

function parseComparison(tokens: TokenStream): Expression {
  const { line } = tokens;
  const first = parseSum(tokens);
  const rest: { operator: CompareOperator; operand: Expression }[] = [];
  for (let operator = comparison(tokens); operator; operator = comparison(tokens)) {
    tokens.checkLinks(rest.length);
    rest.push({ operator, operand: parseSum(tokens) });
  }
  return rest.length === 0 ? first : { kind: 'compare', first, rest, line };
}

function comparison(tokens: TokenStream): CompareOperator | undefined {
  if (tokens.is('op', '==', '!=', '<', '<=', '>', '>=')) return tokens.take().value as CompareOperator;
  if (tokens.skip('name', 'in')) return 'in';
  const { following } = tokens;
  if (!tokens.is('name', 'not') || following?.type !== 'name' || following.value !== 'in') return undefined;
  tokens.take();
  tokens.take();
  return 'not in';
}

const parseSum = (tokens: TokenStream): Expression => parseBinary(tokens, ['+', '-'], parseConcat);
const parseProduct = (tokens: TokenStream): Expression => parseBinary(tokens, ['*', '/', '//', '%'], parsePower);
const parsePower = (tokens: TokenStream): Expression => parseBinary(tokens, ['**'], parseUnary);

function parseBinary(
  tokens: TokenStream,
  operators: readonly BinaryOperator[],
  operand: (tokens: TokenStream) => Expression,
): Expression {
  let left = operand(tokens);
  for (let links = 1; tokens.is('op', ...operators); links++) {
    tokens.checkLinks(links);
    const { value, line } = tokens.take();
    left = { kind: 'binary', operator: value as BinaryOperator, left, right: operand(tokens), line };
  }
  return left;
}

function parseConcat(tokens: TokenStream): Expression {
  const { line } = tokens;
  const parts = [parseProduct(tokens)];
  while (tokens.skip('op', '~')) {
    tokens.checkLinks(parts.length);
    parts.push(parseProduct(tokens));
  }
  return parts.length === 1 ? parts[0]! : { kind: 'concat', parts, line };
}

function parseUnary(tokens: TokenStream, { withFilter = true } = {}): Expression {
  const { line } = tokens;
  let expression: Expression;
  if (tokens.is('op', '-', '+')) {
    const operator = tokens.take().value as '-' | '+';
    const operand = tokens.deeper(() => parseUnary(tokens, { withFilter: false }));
    expression = { kind: 'unary', operator, operand, line };
  } else expression = parsePrimary(tokens);
  expression = parsePostfix(tokens, expression);
  return withFilter ? parseFilters(tokens, expression) : expression;
}

const constants: Readonly<Record<string, null | boolean>> = {
  __proto__: null,
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
};

export function parsePrimary(tokens: TokenStream): Expression {
  const { type, value, line } = tokens.current;
  switch (type) {
    case 'name': {
      tokens.take();
      if (value === 'self') throw unsupported('the name self', line);
      const constant = constants[value];
      return constant === undefined ? { kind: 'name', name: value, line } : { kind: 'const', value: constant, line };
    }
    case 'string': {
      let text = '';
      while (tokens.is('string')) text += tokens.take().value;
      return { kind: 'const', value: text, line };
    }
    case 'integer':
      return { kind: 'const', value: BigInt(tokens.take().value), line };
    case 'float':
      return { kind: 'const', value: Number(tokens.take().value), line };
  }
  if (tokens.skip('op', '(')) {
    const inside = parseTuple(tokens, { mayBeEmpty: true });
    tokens.expect('op', ')');
    return inside;
  }
  if (tokens.skip('op', '[')) {
    return { kind: 'list', items: itemsUntil(tokens, ']', () => parseExpression(tokens)), line };
  }
  if (tokens.skip('op', '{')) {
    const pair = (): [Expression, Expression] => {
      const key = parseExpression(tokens);
      tokens.expect('op', ':');
      return [key, parseExpression(tokens)];
    };
    return { kind: 'dict', items: itemsUntil(tokens, '}', pair), line };
  }
  throw tokens.unexpected('an expression');
}

export function parsePostfix(tokens: TokenStream, start: Expression): Expression {
  let expression = start;
  for (let links = 1; tokens.is('op', '.', '[', '('); links++) {
    tokens.checkLinks(links);
    expression = tokens.is('op', '(') ? parseCall(tokens, expression) : parseSubscript(tokens, expression);
  }
  return expression;
}

export function parseCall(tokens: TokenStream, callee: Expression): Expression {
  const { line } = tokens;
  if (callee.kind === 'attribute' && unsupportedMethods.has(callee.name)) {
    throw unsupported(`the method .${callee.name}()`, callee.line);
  }
  return { kind: 'call', callee, ...parseArguments(tokens), line };
}

function parseSubscript(tokens: TokenStream, object: Expression): Expression {
  const { line } = tokens;
  if (tokens.skip('op', '.')) {
    if (tokens.is('integer')) {
      const index: Expression = { kind: 'const', value: BigInt(tokens.take().value), line };
      return { kind: 'item', object, index, line };
    }
    return { kind: 'attribute', object, name: tokens.expect('name').value, line };
  }
  tokens.expect('op', '[');
  const indices = itemsUntil(tokens, ']', () => parseIndex(tokens));
  if (indices.length === 1) return { kind: 'item', object, index: indices[0]!, line };
  throw unsupported('an index of several parts', line);
}

function parseIndex(tokens: TokenStream): Expression {
  const { line } = tokens;
  const part = () => (tokens.is('op', ':', ']', ',') ? undefined : parseExpression(tokens));
  const start = part();
  if (!tokens.skip('op', ':')) {
    if (start) return start;
    throw tokens.unexpected('an index');
  }
  const stop = part();
  const step = tokens.skip('op', ':') ? part() : undefined;
  return { kind: 'slice', start, stop, step, line };
}
