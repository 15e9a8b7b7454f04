/** The reason why a file is not what PyTorch writes, as a sentence about it. */
export class Damage extends Error {
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
