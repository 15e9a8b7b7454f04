/** A drawing that is also a file of its own. */
export interface Drawing {
  /** Of the file, without its ending. */
  name: string;
  svg: string;
  /** The values that it shows. */
  csv: string;
}

/** Text that is HTML already; everything else is escaped where it is put into a template. */
export class Markup {
  readonly text: string;
  /** Those in the text, in its order. */
  readonly drawings: readonly Drawing[];

  constructor(text: string, drawings: readonly Drawing[] = []) {
    this.text = text;
    this.drawings = drawings;
  }

  toString(): string {
    return this.text;
  }
}

export type Fragment = Markup | string | number | undefined | false | readonly Fragment[];

/**
 * A template whose values are escaped unless they are Markup; lists are joined, `undefined` and `false` are nothing.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Fragment[]): Markup {
  return new Markup(
    strings.reduce((text, part, i) => text + render(values[i - 1]) + part),
    values.flatMap(drawingsOf),
  );
}

function drawingsOf(value: Fragment): readonly Drawing[] {
  if (value instanceof Markup) return value.drawings;
  return Array.isArray(value) ? value.flatMap(drawingsOf) : [];
}

function render(value: Fragment): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Markup) return value.text;
  if (typeof value === 'object') return value.map(render).join('');
  return escapeHtml(String(value));
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/**
 * Safe in text and in quoted attributes. Control characters other than tab and newline, lone surrogates and the
 * marks that reorder the text around them become U+FFFD: a model may emit any of them.
 */
export function escapeHtml(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu, (character) =>
      /[\n\t]/.test(character) ? character : '\ufffd',
    )
    .replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** A `<script type="application/json">` element with the value: no text in it can close the element. */
export function jsonScript(value: unknown, id?: string): Markup {
  const json = JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new Markup(`<script type="application/json"${id === undefined ? '' : ` id="${id}"`}>${json}</script>`);
}

/** A script of ours, which must not contain its own end tag. */
export const script = (code: string): Markup => new Markup(`<script>${code}</script>`);
