import type { Statement } from './ast.ts';
import { parse } from './parse.ts';
import { type Rendered, render } from './render.ts';
import { fromJson } from './values.ts';

/**
 * A template in the language of Python's jinja2, set up as transformers does for chat templates. It renders what Python
 * renders, or throws: what is not supported when the template is read, as far as its text shows it.
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
