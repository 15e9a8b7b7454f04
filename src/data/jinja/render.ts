import type { Expression, Filter, ForStatement, Parameter, Statement, Target } from './ast.ts';
import { Budget } from './budget.ts';
import { argumentsOf, call, evaluate, type Rendering } from './evaluate.ts';
import { TemplateFault } from './fault.ts';
import { applyFilter } from './filters.ts';
import { checkNamespaceName, globals } from './globals.ts';
import { loopVariables } from './loop.ts';
import { macro } from './macro.ts';
import { Scope } from './scope.ts';
import { textOf } from './text-of.ts';
import { type Callable, isTrue, itemsOf, Namespace, typeName, Undefined, type Value } from './values.ts';

/** A part of the result in UTF-16 units; `end` is exclusive. */
interface Span {
  start: number;
  end: number;
}

export interface Rendered {
  text: string;
  /**
   * The parts marked by `{% generation %}`, in order. Undefined if a mark is inside a macro or another block whose text
   * is inserted later, so that its position is not known.
   */
  generated: Span[] | undefined;
}

/** Text that is being written: the result, or the text of a macro or block. */
class Output {
  readonly #parts: string[] = [];
  readonly #budget: Budget;
  readonly isResult: boolean;
  length = 0;

  constructor(budget: Budget, isResult: boolean) {
    this.#budget = budget;
    this.isResult = isResult;
  }

  write(text: string): void {
    if (this.isResult) this.#budget.write(text.length);
    else this.#budget.makeText(text.length);
    this.#parts.push(text);
    this.length += text.length;
  }

  text(): string {
    return this.#parts.join('');
  }
}

/** How a body was left before its end. */
type Leaving = 'break' | 'continue' | undefined;

export type Variables = Iterable<readonly [string, Value]>;

export interface RenderOptions {
  now: Date;
  /** Whether printing what is not there is a fault. */
  isStrict: boolean;
}

/**
 * Renders statements with the given variables. `now` is the time for `strftime_now`.
 * @throws TemplateFault with the line
 */
export function render(statements: readonly Statement[], variables: Variables, options: RenderOptions): Rendered {
  const renderer = new Renderer(options);
  return withLine(renderer.rendering, () => renderer.render(statements, variables, options.now));
}

/**
 * The value of an expression with these variables.
 * @throws TemplateFault with the line
 */
export function evaluated(expression: Expression, variables: Variables, { now, isStrict }: RenderOptions): Value {
  const rendering: Rendering = { budget: new Budget({ isStrict }), line: 1 };
  const scope = new Scope(variables, new Scope(globals(now, rendering.budget)));
  return withLine(rendering, () => evaluate(expression, scope, rendering));
}

function withLine<T>(rendering: Rendering, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateFault('goes too deep', rendering.line);
    if (error instanceof TemplateFault) error.line ??= rendering.line;
    throw error;
  }
}

class Renderer {
  readonly rendering: Rendering;
  #generated: Span[] | undefined = [];

  constructor({ isStrict }: RenderOptions) {
    this.rendering = { budget: new Budget({ isStrict }), line: 1 };
  }

  render(statements: readonly Statement[], variables: Variables, now: Date): Rendered {
    const { budget } = this.rendering;
    const output = new Output(budget, true);
    this.#run(statements, new Scope(variables, new Scope(globals(now, budget))), output);
    return { text: output.text(), generated: this.#generated };
  }

  #valueOf(expression: Expression, scope: Scope): Value {
    return evaluate(expression, scope, this.rendering);
  }

  #run(statements: readonly Statement[], scope: Scope, output: Output): Leaving {
    for (const statement of statements) {
      const leaving = this.#execute(statement, scope, output);
      if (leaving) return leaving;
    }
    return undefined;
  }

  /** Renders a body to a text instead of writing it to the output. */
  #capture(body: readonly Statement[], scope: Scope): string {
    const output = new Output(this.rendering.budget, false);
    this.#run(body, scope, output);
    return output.text();
  }

  #execute(statement: Statement, scope: Scope, output: Output): Leaving {
    const { rendering } = this;
    rendering.budget.spend(1);
    rendering.line = statement.line;
    switch (statement.kind) {
      case 'data':
        output.write(statement.text);
        return undefined;
      case 'output':
        output.write(textOf(this.#valueOf(statement.value, scope), rendering.budget));
        return undefined;
      case 'if': {
        const branch = statement.branches.find(({ test }) => isTrue(this.#valueOf(test, scope)));
        return this.#run(branch?.body ?? statement.otherwise, scope, output);
      }
      case 'for':
        return this.#loop(statement, this.#valueOf(statement.iterable, scope), scope, output, 0);
      case 'set':
        this.#assign(statement.target, this.#valueOf(statement.value, scope), scope);
        return undefined;
      case 'set-block': {
        const text = this.#capture(statement.body, new Scope([], scope));
        this.#assign(statement.target, statement.filter ? this.#filtered(statement.filter, text, scope) : text, scope);
        return undefined;
      }
      case 'with': {
        const inside = new Scope([], scope);
        const values = statement.values.map(({ value }) => this.#valueOf(value, scope));
        for (const [i, { target }] of statement.values.entries()) this.#assign(target, values[i]!, inside);
        return this.#run(statement.body, inside, output);
      }
      case 'macro':
        scope.set(statement.name, this.#macro(statement.name, statement, scope));
        return undefined;
      case 'call-block': {
        const callee = this.#valueOf(statement.call.callee, scope);
        const given = argumentsOf(statement.call, scope, rendering);
        given.named.set('caller', this.#macro('caller', statement, scope));
        output.write(textOf(call(callee, given, statement.line, rendering), rendering.budget));
        return undefined;
      }
      case 'filter-block':
        output.write(
          textOf(
            this.#filtered(statement.filter, this.#capture(statement.body, new Scope([], scope)), scope),
            rendering.budget,
          ),
        );
        return undefined;
      case 'generation':
        this.#generation(statement.body, scope, output);
        return undefined;
      default:
        return statement.kind;
    }
  }

  #generation(body: readonly Statement[], scope: Scope, output: Output): void {
    const start = output.length;
    this.#run(body, new Scope([], scope), output);
    if (output.isResult) this.#generated?.push({ start, end: output.length });
    else this.#generated = undefined;
  }

  #loop(statement: ForStatement, iterable: Value, scope: Scope, output: Output, depth: number): Leaving {
    const { target, test, body, otherwise, recursive } = statement;
    const { budget } = this.rendering;
    const turn = (item: Value): Scope => {
      const inside = new Scope([], scope);
      this.#assign(target, item, inside);
      return inside;
    };
    const all = itemsOf(iterable, budget);
    const items = test ? all.filter((item) => isTrue(this.#valueOf(test, turn(item)))) : all;
    if (items.length === 0) return this.#run(otherwise, scope, output);
    const variableOf = loopVariables(
      items,
      depth,
      budget,
      recursive
        ? ({ positional: [inner] }) =>
            budget.deeper(() => {
              const text = new Output(budget, false);
              this.#loop(statement, inner ?? new Undefined('loop is given nothing'), scope, text, depth + 1);
              return text.text();
            })
        : undefined,
    );
    for (const [index, item] of items.entries()) {
      budget.spend(1);
      const inside = turn(item);
      inside.set('loop', variableOf(index));
      if (this.#run(body, inside, output) === 'break') break;
    }
    return undefined;
  }

  #macro(name: string, parts: { parameters: Parameter[]; body: Statement[] }, scope: Scope): Callable {
    return macro(name, parts, (values) =>
      this.rendering.budget.deeper(() => {
        const inside = new Scope(values, scope);
        for (const { name: parameter, fallback } of parts.parameters) {
          if (!values.has(parameter)) inside.set(parameter, this.#valueOf(fallback!, inside));
        }
        return this.#capture(parts.body, inside);
      }),
    );
  }

  #filtered(filter: Filter, text: string, scope: Scope): Value {
    const { name, input } = filter;
    const value = input ? this.#filtered(input as Filter, text, scope) : text;
    return applyFilter(name, value, argumentsOf(filter, scope, this.rendering), this.rendering.budget);
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') {
      scope.set(target.name, value);
      return;
    }
    this.rendering.line = target.line;
    if (target.kind === 'namespace') {
      const namespace = scope.get(target.name);
      if (!(namespace instanceof Namespace))
        throw new TemplateFault(`${target.name} is a ${typeName(namespace)}, not a namespace`);
      checkNamespaceName(target.attribute);
      namespace.attributes.set(target.attribute, value);
      return;
    }
    if (value instanceof Undefined) throw value.fault();
    const items = itemsOf(value, this.rendering.budget);
    if (items.length !== target.items.length) {
      throw new TemplateFault(`${target.items.length} names cannot take ${items.length} values`);
    }
    for (const [i, part] of target.items.entries()) this.#assign(part, items[i]!, scope);
  }
}
