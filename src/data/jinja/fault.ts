/** What is wrong with a template or its rendering; the line is filled in by what knows it. */
export class TemplateFault extends Error {
  override readonly name = 'TemplateFault';
  /** `raised`: the template itself refuses, by `raise_exception`. */
  readonly kind: 'fault' | 'raised';
  /** 1-based line of the template. */
  line: number | undefined;

  constructor(message: string, line?: number, kind: 'fault' | 'raised' = 'fault') {
    super(message);
    this.line = line;
    this.kind = kind;
  }
}

/** Something that Python's jinja2 has and this one has not: refused, rather than rendered otherwise. */
export const unsupported = (construct: string, line?: number): TemplateFault =>
  new TemplateFault(`${construct} is not supported`, line);
