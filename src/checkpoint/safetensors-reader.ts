import type { FileHandle } from 'node:fs/promises';
import { type Problem, RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { decodeFloats, dtypeBytes, isFloatDtype } from './dtype.ts';
import { foreignFormat, signatureBytes } from './file-formats.ts';
import {
  elementCount,
  maxHeaderBytes,
  parseHeader,
  type SafetensorsHeader,
  type TensorInfo,
} from './safetensors-header.ts';

/** Bytes asked of the operating system at once, at most. */
const readBytesAtOnce = 1 << 22;
const openingBrace = 0x7b;
const damaged = 'the file is damaged or was not written by safetensors: copy or download it again';

/** Tensors on disk, read one at a time; nothing is held open between two reads. */
export interface TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The elements of a float tensor, row-major, as float32, in `into` where it is given: of the tensor's length, or for
   * as many as it holds from element `from` on.
   */
  readFloat32(name: string, into?: Float32Array, from?: number): Promise<Float32Array>;
  /** The file that holds a tensor. */
  fileOf(name: string): string;
  /** The little-endian bytes of any tensor. */
  readBytes(name: string): Promise<Uint8Array>;
}

/**
 * Reads and checks the header of a `.safetensors` file.
 * @throws RequestError listing everything wrong with the file
 */
export async function openSafetensors(path: string): Promise<TensorStore> {
  return withFile(path, async (file) => {
    const stamp = await fileStamp(file);
    const { header, dataStart } = await readHeader(file, stamp.size, path);
    return new SafetensorsFile(path, header, dataStart, stamp);
  });
}

interface FileStamp {
  size: number;
  modified: number;
}

class SafetensorsFile implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #path: string;
  readonly #dataStart: number;
  readonly #stamp: FileStamp;

  constructor(path: string, header: SafetensorsHeader, dataStart: number, stamp: FileStamp) {
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#path = path;
    this.#dataStart = dataStart;
    this.#stamp = stamp;
  }

  async readFloat32(name: string, into?: Float32Array, from?: number): Promise<Float32Array> {
    const { dtype, shape, begin, end } = this.#tensor(name);
    if (!isFloatDtype(dtype)) throw this.#refusal(name, `is ${dtype}; floating-point numbers are needed here`);
    const elements = elementCount(shape);
    const values = into ?? new Float32Array(elements);
    const { length } = values;
    if (from === undefined ? length !== elements : from + length > elements)
      throw this.#refusal(name, `has ${elements} elements, not ${(from ?? 0) + length}`);
    await this.#withUnchangedFile(async (file) => {
      const start = this.#dataStart + begin + (from ?? 0) * dtypeBytes[dtype];
      if (dtype === 'F32') {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        return readExactly(file, bytes, start, this.#path);
      }
      const size = dtypeBytes[dtype];
      const chunk = new Uint8Array(Math.min(readBytesAtOnce, end - begin));
      for (let done = 0; done < length; ) {
        const count = Math.min(chunk.length / size, length - done);
        const bytes = chunk.subarray(0, count * size);
        await readExactly(file, bytes, start + done * size, this.#path);
        decodeFloats(dtype, bytes, values.subarray(done, done + count));
        done += count;
      }
    });
    return values;
  }

  fileOf(): string {
    return this.#path;
  }

  async readBytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.#tensor(name);
    const bytes = new Uint8Array(end - begin);
    await this.#withUnchangedFile((file) => readExactly(file, bytes, this.#dataStart + begin, this.#path));
    return bytes;
  }

  #tensor(name: string): TensorInfo {
    const tensor = this.tensors.get(name);
    if (!tensor) throw this.#refusal(name, 'there is no such tensor');
    return tensor;
  }

  #refusal(name: string, message: string): RequestError {
    return new RequestError({ where: name, message }, this.#path);
  }

  /** The header was read earlier, so offsets hold only while the file is the same. */
  async #withUnchangedFile(use: (file: FileHandle) => Promise<void>): Promise<void> {
    await withFile(this.#path, async (file) => {
      const { size, modified } = await fileStamp(file);
      if (size !== this.#stamp.size || modified !== this.#stamp.modified) {
        throw new RequestError('the file was changed while it was being read', this.#path);
      }
      await use(file);
    });
  }
}

async function readHeader(
  file: FileHandle,
  fileBytes: number,
  path: string,
): Promise<{ header: SafetensorsHeader; dataStart: number }> {
  const refuse = (problems: Problem[]): never => {
    throw new RequestError(
      problems.map((problem) => ({ hint: damaged, ...problem })),
      path,
    );
  };
  if (fileBytes < 8)
    return refuse([{ message: `has ${fileBytes} bytes; a safetensors file starts with 8 bytes of header length` }]);
  const head = new Uint8Array(Math.min(signatureBytes, fileBytes));
  await readExactly(file, head, 0, path);
  const format = head[8] === openingBrace ? undefined : foreignFormat(head, path);
  if (format) return refuse([{ message: `is ${format.name}, not a safetensors file`, hint: format.hint }]);
  const length = new DataView(head.buffer).getBigUint64(0, true);
  if (length > maxHeaderBytes) return refuse([{ message: `the header length ${length} is above ${maxHeaderBytes}` }]);
  const dataStart = 8 + Number(length);
  if (dataStart > fileBytes) {
    return refuse([{ message: `the header ends at byte ${dataStart}, but the file has ${fileBytes}` }]);
  }
  const bytes = new Uint8Array(Number(length));
  await readExactly(file, bytes, 8, path);
  const header = parseHeader(bytes, fileBytes - dataStart);
  return Array.isArray(header) ? refuse(header) : { header, dataStart };
}

async function readExactly(file: FileHandle, into: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, Math.min(readBytesAtOnce, into.length - done), position + done);
    if (bytesRead === 0) throw new RequestError({ message: `ended at byte ${position + done}`, hint: damaged }, path);
    done += bytesRead;
  }
}

async function fileStamp(file: FileHandle): Promise<FileStamp> {
  const { size, mtimeMs } = await file.stat();
  return { size, modified: mtimeMs };
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await openRegularFile(path);
  if (!file) throw new RequestError('cannot be opened: there is no such file', path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
