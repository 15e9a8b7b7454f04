import { describe, expect, test } from 'vitest';
import { TemplateFault } from '../../src/data/jinja/fault.ts';
import { JinjaTemplate } from '../../src/data/jinja/template.ts';
import { python } from './environment.ts';

interface RenderedFile {
  name: string;
  source: string;
  /** What is rendered with, and the result; null where Python raises. */
  cases: [context: Record<string, unknown>, rendered: string | null][];
}

/** Such as the folder chat_templates of the Python package trl. */
const folder = process.env.CHAT_TEMPLATES;

describe.skipIf(folder === undefined)('chat templates of the folder that CHAT_TEMPLATES names', () => {
  test('are rendered as transformers renders them', async () => {
    const files = await python<RenderedFile[]>('5.23.0', 'render_chat_templates.py', [folder!]);
    let renderings = 0;
    for (const { name, source, cases } of files) {
      const template = new JinjaTemplate(source);
      for (const [context, expected] of cases) {
        expect.soft(textOrNull(template, context), name).toBe(expected);
        renderings++;
      }
    }
    process.stderr.write(`${renderings} renderings of ${files.length} chat templates are equal\n`);
  });
});

function textOrNull(template: JinjaTemplate, context: Record<string, unknown>): string | null {
  try {
    return template.render(context).text;
  } catch (error) {
    expect(error).toBeInstanceOf(TemplateFault);
    return null;
  }
}
