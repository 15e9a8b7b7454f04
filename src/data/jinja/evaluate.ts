import type { Arguments, Expression } from './ast.ts';
import { attributeOf, itemOf, sliceOf } from './attributes.ts';
import type { Budget } from './budget.ts';
import { wholeArgument } from './call-arguments.ts';
import { compare } from './compare.ts';
import { TemplateFault } from './fault.ts';
import { applyFilter } from './filters.ts';
import { binary, unary } from './operators.ts';
import type { Scope } from './scope.ts';
import type { SliceBounds } from './slices.ts';
import { applyTest } from './tests.ts';
import { textOf } from './text-of.ts';
import {
  type CallArguments,
  Callable,
  Dict,
  isTrue,
  itemsOf,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts';

/** The state of a rendering: its budget and its current line. */
export interface Rendering {
  budget: Budget;
  line: number;
}

export function evaluate(expression: Expression, scope: Scope, rendering: Rendering): Value {
  const { budget } = rendering;
  budget.spend(1);
  const valueFor = (part: Expression): Value => evaluate(part, scope, rendering);
  const at = <T>(work: () => T): T => {
    rendering.line = expression.line;
    return work();
  };
  switch (expression.kind) {
    case 'const':
      return expression.value;
    case 'name':
      return scope.get(expression.name);
    case 'list':
      return expression.items.map(valueFor);
    case 'tuple':
      return new Tuple(expression.items.map(valueFor));
    case 'dict': {
      const entries = expression.items.map(([key, value]) => [valueFor(key), valueFor(value)] as const);
      return at(() => new Dict(entries));
    }
    case 'attribute': {
      const object = valueFor(expression.object);
      return at(() => attributeOf(object, expression.name, budget));
    }
    case 'item':
      return evaluateItem(expression, scope, rendering);
    case 'slice':
      throw new TemplateFault('a slice is only allowed as an index', expression.line);
    case 'call':
      return call(valueFor(expression.callee), argumentsOf(expression, scope, rendering), expression.line, rendering);
    case 'filter': {
      const input = valueFor(expression.input!);
      const given = argumentsOf(expression, scope, rendering);
      return at(() => applyFilter(expression.name, input, given, budget));
    }
    case 'test': {
      const input = valueFor(expression.input);
      const given = argumentsOf(expression, scope, rendering);
      return at(() => applyTest(expression.name, input, given, budget));
    }
    case 'unary': {
      const operand = valueFor(expression.operand);
      const { operator } = expression;
      return operator === 'not' ? !isTrue(operand) : at(() => unary(operator, operand));
    }
    case 'binary': {
      const [left, right] = [valueFor(expression.left), valueFor(expression.right)];
      return at(() => binary(expression.operator, left, right, budget));
    }
    case 'and':
    case 'or': {
      const left = valueFor(expression.left);
      return isTrue(left) === (expression.kind === 'or') ? left : valueFor(expression.right);
    }
    case 'concat': {
      const texts = expression.parts.map((part) => textOf(valueFor(part), budget));
      budget.makeText(texts.reduce((sum, { length }) => sum + length, 0));
      return texts.join('');
    }
    case 'compare':
      return evaluateComparison(expression, scope, rendering);
    case 'condition': {
      if (isTrue(valueFor(expression.test))) return valueFor(expression.then);
      if (expression.otherwise) return valueFor(expression.otherwise);
      return new Undefined(`an inline if without else, in line ${expression.line}, is false`);
    }
  }
}

function evaluateItem(
  { object, index, line }: Extract<Expression, { kind: 'item' }>,
  scope: Scope,
  rendering: Rendering,
): Value {
  const container = evaluate(object, scope, rendering);
  if (index.kind !== 'slice') {
    const key = evaluate(index, scope, rendering);
    rendering.line = line;
    return itemOf(container, key, rendering.budget);
  }
  const bound = (part: Expression | undefined): number | undefined => {
    const value = part === undefined ? null : evaluate(part, scope, rendering);
    return value === null ? undefined : wholeArgument(value, 'a slice');
  };
  const bounds: SliceBounds = { start: bound(index.start), stop: bound(index.stop), step: bound(index.step) };
  rendering.line = line;
  return sliceOf(container, bounds, rendering.budget);
}

/** a < b < c compares each value with the next, and stops at the first comparison that is false. */
function evaluateComparison(
  { first, rest, line }: Extract<Expression, { kind: 'compare' }>,
  scope: Scope,
  rendering: Rendering,
): boolean {
  let left = evaluate(first, scope, rendering);
  for (const { operator, operand } of rest) {
    const right = evaluate(operand, scope, rendering);
    rendering.line = line;
    if (!compare(operator, left, right, rendering.budget)) return false;
    left = right;
  }
  return true;
}

export function argumentsOf(given: Arguments, scope: Scope, rendering: Rendering): CallArguments {
  const valueFor = (part: Expression): Value => evaluate(part, scope, rendering);
  const positional = given.positional.map(valueFor);
  const named = new Map(given.named.map(([name, value]) => [name, valueFor(value)]));
  if (given.rest) for (const value of itemsOf(valueFor(given.rest), rendering.budget)) positional.push(value);
  if (given.keywords) {
    const keywords = valueFor(given.keywords);
    if (!(keywords instanceof Dict)) throw new TemplateFault(`** needs a dict and not a ${typeName(keywords)}`);
    for (const [name, value] of keywords.entries()) named.set(textOf(name, rendering.budget), value);
  }
  return { positional, named };
}

export function call(callee: Value, given: CallArguments, line: number, rendering: Rendering): Value {
  rendering.line = line;
  if (callee instanceof Undefined) throw callee.fault();
  if (!(callee instanceof Callable)) throw new TemplateFault(`a ${typeName(callee)} cannot be called`);
  return callee.call(given);
}
