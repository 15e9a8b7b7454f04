import { TemplateFault } from './fault.ts';

/** Far above what any conversation takes, and reached within seconds. */
const limits = { steps: 5_000_000, characters: 200_000_000, textLength: 4_000_000, depth: 100 };

/** Work that one rendering may do, so that no template runs without end or fills the memory. */
export class Budget {
  #steps = 0;
  #characters = 0;
  #written = 0;
  #depth = 0;

  /** Nodes evaluated, turns of loops, elements of lists. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > limits.steps) {
      throw new TemplateFault(`takes more than ${limits.steps.toLocaleString('en')} steps: a loop is far too long`);
    }
  }

  /** To be asked before a text of this length is gone through. */
  read(length: number): void {
    this.spend(1 + (length >>> 6));
  }

  /** To be asked before a text of this length is made. */
  makeText(length: number): void {
    this.#characters += length;
    if (length > limits.textLength || this.#characters > limits.characters) {
      throw new TemplateFault(`makes texts of more than ${limits.textLength.toLocaleString('en')} characters`);
    }
  }

  /** To be asked before this much is written to the result. */
  write(length: number): void {
    this.#written += length;
    this.makeText(this.#written > limits.textLength ? this.#written : length);
  }

  /** Macros and recursive loops that call each other. */
  deeper<T>(inside: () => T): T {
    if (++this.#depth > limits.depth) throw new TemplateFault(`calls macros more than ${limits.depth} deep`);
    try {
      return inside();
    } finally {
      this.#depth--;
    }
  }
}
