/** An error in a template or its rendering. The line is filled in where it is known. */
export class TemplateFault extends Error {
  override readonly name = 'TemplateFault';
  /** `raised` if the template itself refuses by `raise_exception`. */
  readonly kind: 'fault' | 'raised';
  /** 1-based line of the template. */
  line: number | undefined;

  constructor(message: string, line?: number, kind: 'fault' | 'raised' = 'fault') {
    super(message);
    this.line = line;
    this.kind = kind;
  }
}

/** The error for a feature of Python's jinja2 that is missing here: refused rather than rendered differently. */
export const unsupported = (construct: string, line?: number): TemplateFault =>
  new TemplateFault(`${construct} is not supported`, line);
