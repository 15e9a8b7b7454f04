/** Element types that mixtune reads and writes, with their sizes in bytes, in the order of the Rust implementation. */
export const dtypeBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

export type Dtype = keyof typeof dtypeBytes;
export type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16';

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(dtypeBytes, name);
}

export function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** Widens or rounds the little-endian elements in `bytes` (8-byte aligned) into `into`. */
export function decodeFloats(dtype: FloatDtype, bytes: Uint8Array, into: Float32Array): void {
  const { buffer, byteOffset } = bytes;
  switch (dtype) {
    case 'F64':
      into.set(new Float64Array(buffer, byteOffset, into.length));
      return;
    case 'F32':
      into.set(new Float32Array(buffer, byteOffset, into.length));
      return;
    case 'BF16': {
      const halves = new Uint16Array(buffer, byteOffset, into.length);
      const words = new Uint32Array(into.buffer, into.byteOffset, into.length);
      for (let i = 0; i < words.length; i++) words[i] = halves[i]! << 16;
      return;
    }
    case 'F16': {
      const halves = new Uint16Array(buffer, byteOffset, into.length);
      float16Values ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits));
      const values = float16Values;
      for (let i = 0; i < into.length; i++) into[i] = values[halves[i]!]!;
    }
  }
}

/** The value of every half-precision bit pattern; computed when the first one is read. */
let float16Values: Float32Array | undefined;

/** Writes `values` as little-endian `dtype` into `bytes` (8-byte aligned); rounds to nearest even and keeps NaN. */
export function encodeFloats(dtype: FloatDtype, values: Float32Array, bytes: Uint8Array): void {
  const { buffer, byteOffset } = bytes;
  if (dtype === 'F64') new Float64Array(buffer, byteOffset, values.length).set(values);
  else if (dtype === 'F32') new Float32Array(buffer, byteOffset, values.length).set(values);
  else {
    const halves = new Uint16Array(buffer, byteOffset, values.length);
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
    if (dtype === 'BF16') for (let i = 0; i < halves.length; i++) halves[i] = bfloat16Bits(words[i]!);
    else for (let i = 0; i < halves.length; i++) halves[i] = float16Bits(words[i]!);
  }
}

/** bfloat16 bits of a float32 given by its bits. */
function bfloat16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** IEEE half-precision bits of a float32 given by its bits; values that round to more than 65504 become infinite. */
function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  return sign | subnormalFloat16(magnitude);
}

/** The multiple of 2⁻²⁴ nearest to a float32 below 2⁻¹⁴, ties to even. */
function subnormalFloat16(magnitude: number): number {
  const exponent = magnitude >>> 23;
  if (exponent < 102) return 0;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - exponent;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const floor = mantissa >>> shift;
  return rest > half || (rest === half && floor & 1) ? floor + 1 : floor;
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}
