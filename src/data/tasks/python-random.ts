const length = 624;
const middle = 397;

/**
 * Python's `random.Random(seed)` for a whole seed from 0 to 2³² − 1: the Mersenne Twister MT19937 (Matsumoto and
 * Nishimura 1998), seeded and read as CPython does it, so that examples are drawn as lm-evaluation-harness draws them.
 */
export class PythonRandom {
  readonly #state = new Uint32Array(length);
  #next = length;

  constructor(seed: number) {
    const state = this.#state;
    state[0] = 19650218;
    for (let i = 1; i < length; i++) state[i] = mixed(state, i, 1812433253) + i;
    let i = 1;
    const step = (): void => {
      if (++i < length) return;
      state[0] = state[length - 1]!;
      i = 1;
    };
    // The key of the seed has one word.
    for (let k = 0; k < length; k++, step()) state[i] = (state[i]! ^ mixed(state, i, 1664525)) + seed;
    for (let k = 1; k < length; k++, step()) state[i] = (state[i]! ^ mixed(state, i, 1566083941)) - i;
    state[0] = 0x80000000;
  }

  /** `random.sample(range(size), count)`: different indices in the order in which they are drawn. */
  sample(size: number, count: number): number[] {
    const setSize = 21 + (count > 5 ? 4 ** Math.ceil(Math.log(count * 3) / Math.log(4)) : 0);
    if (size > setSize) {
      const drawn = new Set<number>();
      while (drawn.size < count) drawn.add(this.#below(size));
      return [...drawn];
    }
    const pool = Array.from({ length: size }, (_, index) => index);
    return Array.from({ length: count }, (_, i) => {
      const at = this.#below(size - i);
      const index = pool[at]!;
      pool[at] = pool[size - i - 1]!;
      return index;
    });
  }

  /** A whole number from 0 to bound − 1, for a bound of at most 2³¹. */
  #below(bound: number): number {
    const bits = 32 - Math.clz32(bound);
    for (;;) {
      const number = this.#uint32() >>> (32 - bits);
      if (number < bound) return number;
    }
  }

  #uint32(): number {
    if (this.#next === length) this.#twist();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < length; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % length]! & 0x7fffffff);
      state[i] = state[(i + middle) % length]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

const mixed = (state: Uint32Array, i: number, factor: number): number =>
  Math.imul(state[i - 1]! ^ (state[i - 1]! >>> 30), factor);
