/** A setting that was given, by a person or a file, and that cannot be. */
export class SettingProblem extends Error {
  /** The key that was given. */
  readonly key: string;
  readonly hint: string | undefined;

  constructor(key: string, message: string, hint?: string) {
    super(message);
    this.key = key;
    this.hint = hint;
  }
}
