/**
 * Counter-based random numbers. A stream is identified by a seed and a name; its state is the counter of draws. Equal
 * (seed, name, counter) give equal numbers on every machine, so saving a stream means saving its counter.
 */
export class RandomStream {
  readonly seed: number;
  readonly name: string;
  /** Draws taken so far; assign it to resume. */
  counter: number;
  readonly #key0: number;
  readonly #key1: number;

  constructor(seed: number, name: string, counter = 0) {
    this.seed = seed;
    this.name = name;
    this.counter = counter;
    const nameHash = fnv1a(name);
    this.#key0 = mix(seed >>> 0, nameHash);
    this.#key1 = mix(Math.floor(seed / 2 ** 32) >>> 0, mix(nameHash, 0x9e3779b9));
  }

  /** An unsigned 32-bit integer. */
  uint32(): number {
    const low = this.counter >>> 0;
    const high = Math.floor(this.counter / 2 ** 32) >>> 0;
    this.counter++;
    return mix(mix(low, this.#key0), mix(high, this.#key1) ^ 0x85ebca6b);
  }

  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** A uniform integer in [0, bound). */
  integer(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }

  /** A random element of a non-empty list. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(items.length)] as T;
  }

  /** Standard normal, by Box–Muller; always two uniform draws. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles in place (Fisher–Yates) and returns the same array. */
  shuffle<A extends { length: number; [index: number]: unknown }>(items: A): A {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const kept = items[i];
      items[i] = items[j];
      items[j] = kept;
    }
    return items;
  }
}

/** FNV-1a over UTF-16 code units. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Combines two 32-bit words by applying the finaliser of MurmurHash3 twice. */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ (b >>> 15), 0x2c1b3c6d) ^ b;
  for (let round = 0; round < 2; round++) {
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
    h = (h + 0x9e3779b9) | 0;
  }
  return h >>> 0;
}
