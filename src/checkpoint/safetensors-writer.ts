import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RunError } from '../errors.ts';
import { requireFreeSpace, writeFileAtomically } from './atomic.ts';
import { type Dtype, dtypeBytes, encodeFloats, type FloatDtype, isFloatDtype } from './dtype.ts';
import { buildHeader } from './safetensors-header.ts';
import { elementCount } from './tensor-store.ts';

/** The number of elements that are converted and written at once. */
const elementsAtOnce = 1 << 22;
const largestFloat16 = 65519.99609375;

export interface TensorSpec {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
}

/**
 * Writes a `.safetensors` file atomically, one tensor at a time. `read` is called once for each tensor, in the order of
 * the file; it gives float32 values for a float dtype (converted here), or the little-endian bytes of any dtype.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSpec[],
  read: (name: string) => Promise<Float32Array | Uint8Array>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header = buildHeader(tensors, { format: 'pt', ...metadata });
  await requireFreeSpace(dirname(path), header.head.length + header.dataBytes, path);
  await writeFileAtomically(path, async (file) => {
    await writeFully(file, header.head);
    for (const tensor of header.tensors) {
      const content = await read(tensor.name);
      if (content instanceof Uint8Array) await writeRaw(file, tensor, content);
      else await writeFloats(file, tensor, content);
    }
  });
}

async function writeRaw(file: FileHandle, { name, dtype, shape }: TensorSpec, bytes: Uint8Array): Promise<void> {
  const expected = elementCount(shape) * dtypeBytes[dtype];
  if (bytes.length !== expected) throw new RangeError(`${name}: ${bytes.length} bytes given, ${expected} expected`);
  await writeFully(file, bytes);
}

async function writeFloats(file: FileHandle, { name, dtype, shape }: TensorSpec, values: Float32Array): Promise<void> {
  if (!isFloatDtype(dtype)) throw new TypeError(`${name}: ${dtype} is written from bytes, not from float32 values`);
  const expected = elementCount(shape);
  if (values.length !== expected)
    throw new RangeError(`${name}: ${values.length} elements given, ${expected} expected`);
  if (dtype === 'F16') requireFloat16Range(name, values);
  const buffer = new Uint8Array(Math.min(elementsAtOnce, values.length) * dtypeBytes[dtype]);
  for (let done = 0; done < values.length; done += elementsAtOnce) {
    await writeFully(file, encodeChunk(dtype, values.subarray(done, done + elementsAtOnce), buffer));
  }
}

function encodeChunk(dtype: FloatDtype, values: Float32Array, buffer: Uint8Array): Uint8Array {
  const bytes = buffer.subarray(0, values.length * dtypeBytes[dtype]);
  encodeFloats(dtype, values, bytes);
  return bytes;
}

function requireFloat16Range(name: string, values: Float32Array): void {
  const outside = values.find((value) => Math.abs(value) > largestFloat16 && Number.isFinite(value));
  if (outside === undefined) return;
  throw new RunError(`${name} holds ${outside}, which f16 cannot hold (up to 65504)`, { hint: 'write bf16 or f32' });
}

async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, 1 << 30));
    done += bytesWritten;
  }
}
