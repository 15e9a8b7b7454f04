import { RequestError } from '../../errors.ts';
import { TemplateFault } from '../jinja/fault.ts';
import { JinjaTemplate } from '../jinja/template.ts';
import type { LoadedTask } from './task-file.ts';
import type { TaskFile } from './task-schema.ts';

/** Columns of a row, by name. */
export type Fields = Readonly<Record<string, unknown>>;

/** What is wrong with a row of the data, as far as its templates can tell. */
export class RowFault extends Error {
  override readonly name = 'RowFault';
}

/** Template of a key of a task file: what it gives for a row. A column that the row lacks is a fault. */
export interface TaskTemplate {
  /** @throws RowFault */
  text(fields: Fields): string;
  /** The value where the template is one `{{ expression }}`, else its text. @throws RowFault */
  value(fields: Fields): unknown;
}

/** @throws RequestError where the template is broken */
export function taskTemplate(key: string, source: string, { file, lineOf, task }: LoadedTask): TaskTemplate {
  const template = compiled(key, source, file, lineOf([key]));
  const rewritten = rewriter(task, file, lineOf(['rewrite']));
  const at = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof TemplateFault) throw new RowFault(`\`${key}\` of ${file}: ${error.message}`);
      throw error;
    }
  };
  return {
    text: (fields) => rewritten(at(() => template.render(fields).text)),
    value(fields) {
      const value = at(() => template.value(fields));
      return Array.isArray(value) ? value.map((item) => rewrittenIfText(item)) : rewrittenIfText(value);
    },
  };

  function rewrittenIfText(value: unknown): unknown {
    return typeof value === 'string' ? rewritten(value) : value;
  }
}

function compiled(key: string, source: string, file: string, line: number | undefined): JinjaTemplate {
  try {
    // jinja2 drops one line end at the end of a template.
    return new JinjaTemplate(source.endsWith('\n') ? `${source}\n` : source, { isStrict: true });
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error;
    throw new RequestError({ where: key, message: error.message, ...(line === undefined ? {} : { line }) }, file);
  }
}

/** Replaces in a text what the task file says. @throws RequestError where a pattern is broken */
function rewriter({ rewrite }: TaskFile, file: string, line: number | undefined): (text: string) => string {
  const rules = rewrite.map(({ pattern, by }, index) => {
    try {
      return { pattern: new RegExp(pattern, 'gu'), by };
    } catch (error) {
      const where = `rewrite.${index}.pattern`;
      const message = (error as Error).message;
      throw new RequestError({ where, message, ...(line === undefined ? {} : { line }) }, file);
    }
  });
  return (text) => rules.reduce((result, { pattern, by }) => result.replace(pattern, by), text);
}
