import type { Statement } from './ast.ts';
import { parse } from './parse.ts';
import { evaluated, type Rendered, render, type Variables } from './render.ts';
import { fromJson, toJson, Undefined } from './values.ts';

export interface TemplateOptions {
  /** Whether printing a name or attribute that is not there is a fault, as with StrictUndefined. */
  isStrict?: boolean;
}

/**
 * A template in the language of Python's jinja2, with the settings of transformers for chat templates. It renders
 * exactly what Python renders, or throws. As far as possible, unsupported features are detected when it is parsed.
 */
export class JinjaTemplate {
  readonly #statements: readonly Statement[];
  readonly #isStrict: boolean;

  /** @throws TemplateFault */
  constructor(source: string, { isStrict = false }: TemplateOptions = {}) {
    this.#statements = parse(source);
    this.#isStrict = isStrict;
  }

  /** @throws TemplateFault */
  render(variables: Readonly<Record<string, unknown>>, now = new Date()): Rendered {
    return render(this.#statements, valuesOf(variables), { now, isStrict: this.#isStrict });
  }

  /**
   * What a template stands for: of one that is a single `{{ expression }}`, its value as JSON has it; else the text.
   * @throws TemplateFault
   */
  value(variables: Readonly<Record<string, unknown>>, now = new Date()): unknown {
    const [only, ...others] = this.#statements;
    if (only?.kind !== 'output' || others.length > 0) return this.render(variables, now).text;
    const found = evaluated(only.value, valuesOf(variables), { now, isStrict: this.#isStrict });
    if (found instanceof Undefined && this.#isStrict) throw found.fault();
    return toJson(found);
  }
}

const valuesOf = (variables: Readonly<Record<string, unknown>>): Variables =>
  Object.entries(variables).map(([name, value]) => [name, fromJson(value)] as const);
