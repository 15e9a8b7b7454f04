import type { FileHandle } from 'node:fs/promises';
import { RequestError } from '../errors.ts';
import { openRegularFile } from '../files.ts';
import { decodeFloats, dtypeBytes, type FloatDtype } from './dtype.ts';

/** The most bytes to request from the operating system at once. */
const bytesAtOnce = 1 << 22;

/**
 * A file that is read in parts. It is not kept open between two reads; if it has changed since it was first opened,
 * reading fails, because what was read before may no longer match.
 */
export class StillFile {
  readonly path: string;
  readonly size: number;
  readonly #modified: number;
  /** What to do about a file that ends too early. */
  readonly #hint: string;

  private constructor(path: string, size: number, modified: number, hint: string) {
    this.path = path;
    this.size = size;
    this.#modified = modified;
    this.#hint = hint;
  }

  /** @throws RequestError if there is no such regular file */
  static async open(path: string, hint: string): Promise<StillFile> {
    return withFile(path, async (file) => {
      const { size, mtimeMs } = await file.stat();
      return new StillFile(path, size, mtimeMs, hint);
    });
  }

  /** Fills `into` with the bytes from `position` on. */
  read(into: Uint8Array, position: number): Promise<void> {
    return this.#whileStill((file) => this.#readExactly(file, into, position));
  }

  /** Fills `into` with the numbers from byte `position` on, converted to float32. */
  readFloats(dtype: FloatDtype, into: Float32Array, position: number): Promise<void> {
    return this.#whileStill(async (file) => {
      if (dtype === 'F32') {
        return this.#readExactly(file, new Uint8Array(into.buffer, into.byteOffset, into.byteLength), position);
      }
      const size = dtypeBytes[dtype];
      const chunk = new Uint8Array(Math.min(bytesAtOnce, into.length * size));
      for (let done = 0; done < into.length; ) {
        const count = Math.min(chunk.length / size, into.length - done);
        const bytes = chunk.subarray(0, count * size);
        await this.#readExactly(file, bytes, position + done * size);
        decodeFloats(dtype, bytes, into.subarray(done, done + count));
        done += count;
      }
    });
  }

  async #whileStill(use: (file: FileHandle) => Promise<void>): Promise<void> {
    await withFile(this.path, async (file) => {
      const { size, mtimeMs } = await file.stat();
      if (size !== this.size || mtimeMs !== this.#modified) {
        throw new RequestError('the file was changed while it was being read', this.path);
      }
      await use(file);
    });
  }

  async #readExactly(file: FileHandle, into: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await file.read(into, done, Math.min(bytesAtOnce, into.length - done), position + done);
      if (bytesRead === 0) {
        throw new RequestError({ message: `ended at byte ${position + done}`, hint: this.#hint }, this.path);
      }
      done += bytesRead;
    }
  }
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
