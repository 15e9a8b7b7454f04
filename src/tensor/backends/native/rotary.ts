import type { Rotary } from '../kernels/self-attention.ts';
import type { NativeLibrary } from './build.ts';

/** The numbers that identify rotary embeddings in an engine; each distinct embedding is registered once. */
export class RotaryNumbers {
  readonly #library: NativeLibrary;
  readonly #engine: number;
  readonly #numbers = new WeakMap<Rotary, number>();
  readonly #byContent = new Map<string, number>();

  constructor(library: NativeLibrary, engine: number) {
    this.#library = library;
    this.#engine = engine;
  }

  numberOf(rotary: Rotary): number {
    return this.#numbers.get(rotary) ?? this.#given(rotary);
  }

  #given(rotary: Rotary): number {
    const frequencies = Float64Array.of(...rotary.frequencies, rotary.factor);
    const content = frequencies.join();
    const number = this.#byContent.get(content) ?? this.#library.rotary(this.#engine, frequencies);
    this.#byContent.set(content, number);
    this.#numbers.set(rotary, number);
    return number;
  }
}
