import type { Statement } from './ast.ts';
import { parse } from './parse.ts';
import { type Rendered, render } from './render.ts';
import { fromJson } from './values.ts';

/**
 * A template in the language of Python's jinja2, with the settings of transformers for chat templates. It renders
 * exactly what Python renders, or throws. As far as possible, unsupported features are detected when it is parsed.
 */
export class JinjaTemplate {
  readonly #statements: readonly Statement[];

  /** @throws TemplateFault */
  constructor(source: string) {
    this.#statements = parse(source);
  }

  /** @throws TemplateFault */
  render(variables: Readonly<Record<string, unknown>>, now = new Date()): Rendered {
    const values = Object.entries(variables).map(([name, value]) => [name, fromJson(value)] as const);
    return render(this.#statements, values, now);
  }
}
