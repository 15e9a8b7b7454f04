import { Damage } from './damage.ts';

/** Reads little-endian numbers and texts one after another. @throws Damage at the end of the bytes */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Position of the next byte. */
  get position(): number {
    return this.#at;
  }

  uint8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.skip(4), true);
  }

  /** Big-endian, as in pickles. */
  float64(): number {
    return this.#view.getFloat64(this.skip(8));
  }

  /** A signed whole number of `length` bytes; NaN if a number cannot represent it exactly. */
  integer(bytes: number): number {
    const begin = this.skip(bytes);
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[begin + i]!);
    const signed = Number(BigInt.asIntN(8 * bytes, value));
    return Number.isSafeInteger(signed) ? signed : Number.NaN;
  }

  text(bytes: number): string {
    const begin = this.skip(bytes);
    return new TextDecoder().decode(this.#bytes.subarray(begin, begin + bytes));
  }

  /** The text up to a line feed, which is skipped. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    const line = this.text((end < 0 ? this.#bytes.length : end) - this.#at);
    this.skip(1);
    return line;
  }

  /** Skips `length` bytes, and returns where they begin. */
  skip(bytes: number): number {
    const begin = this.#at;
    if (begin + bytes > this.#bytes.length) throw new Damage('its pickle is cut off');
    this.#at += bytes;
    return begin;
  }
}
