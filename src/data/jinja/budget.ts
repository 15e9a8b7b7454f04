import { TemplateFault } from './fault.ts';

/** Far more than any conversation needs, yet reached within seconds. */
const limits = { steps: 5_000_000, characters: 200_000_000, textLength: 4_000_000, depth: 100 };

/** Limits the work of a rendering, so that no template can run forever or fill the memory. */
export class Budget {
  /** True where a name or attribute that is not there is a fault when it is printed, as with StrictUndefined. */
  readonly isStrict: boolean;
  #steps = 0;
  #characters = 0;
  #written = 0;
  #depth = 0;

  constructor({ isStrict = false } = {}) {
    this.isStrict = isStrict;
  }

  /** Counts evaluated nodes, iterations of loops and elements of lists. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > limits.steps) {
      throw new TemplateFault(`takes more than ${limits.steps.toLocaleString('en')} steps: a loop is far too long`);
    }
  }

  /** Must be called before reading through a text of this length. */
  read(length: number): void {
    this.spend(1 + (length >>> 6));
  }

  /** Must be called before creating a text of this length. */
  makeText(length: number): void {
    this.#characters += length;
    if (length > limits.textLength || this.#characters > limits.characters) {
      throw new TemplateFault(`makes texts of more than ${limits.textLength.toLocaleString('en')} characters`);
    }
  }

  /** Must be called before writing a text of this length to the result. */
  write(length: number): void {
    this.#written += length;
    this.makeText(this.#written > limits.textLength ? this.#written : length);
  }

  /** Runs a macro or a level of a recursive loop, and limits how deeply these are nested. */
  deeper<T>(inside: () => T): T {
    if (++this.#depth > limits.depth) throw new TemplateFault(`calls macros more than ${limits.depth} deep`);
    try {
      return inside();
    } finally {
      this.#depth--;
    }
  }
}
