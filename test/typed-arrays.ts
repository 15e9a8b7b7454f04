import { expect } from 'vitest';

type TypedArray = Float32Array | Float64Array | Int32Array | Uint8Array;

const isTypedArray = (value: unknown): value is TypedArray => ArrayBuffer.isView(value) && !(value instanceof DataView);

const bytesOf = ({ buffer, byteOffset, byteLength }: TypedArray): Buffer => Buffer.from(buffer, byteOffset, byteLength);

/** Typed arrays of one kind are compared as wholes: key by key, as is usual, a million numbers take seconds. */
expect.addEqualityTesters([
  (a: unknown, b: unknown): boolean | undefined => {
    if (!isTypedArray(a) || !isTypedArray(b) || a.constructor !== b.constructor) return undefined;
    if (a.length !== b.length) return false;
    return bytesOf(a).equals(bytesOf(b)) || a.every((value, i) => Object.is(value, b[i]));
  },
]);
