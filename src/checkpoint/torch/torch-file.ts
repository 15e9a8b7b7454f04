import { basename } from 'node:path';
import { RequestError } from '../../errors.ts';
import { decodeFloats, dtypeBytes } from '../dtype.ts';
import { foreignFormat, pickleHint, signatureBytes } from '../file-formats.ts';
import { StillFile } from '../still-file.ts';
import { elementCount, floatsToRead, type StoredTensor, type TensorStore, tensorNamed } from '../tensor-store.ts';
import { Damage } from './damage.ts';
import { readStateDict, type StoredView } from './state-dict.ts';
import { readZip, type ZipEntry } from './zip.ts';

/** The longest pickle that is read, in bytes: room for 100,000 tensors. */
const mostPickleBytes = 20_000_000;

const damaged = 'copy or download it again, or take the model in safetensors';

/**
 * The tensors of a file written by torch.save in the zip format used since PyTorch 1.6. Its pickle is read only for
 * tensors: anything else in it is refused by name and never run.
 * @throws RequestError
 */
export async function openTorchFile(path: string): Promise<TensorStore> {
  const file = await StillFile.open(path, damaged);
  await requireZip(file);
  try {
    const entries = await readZip(file);
    const root = rootOf(entries);
    await requireLittleEndian(file, entries.get(`${root}byteorder`));
    const views = readStateDict(await contentOf(file, entries.get(`${root}data.pkl`)!));
    const begins = new Map([...views].map(([name, view]) => [name, beginOf(view, root, entries)]));
    return new TorchFile(file, views, begins);
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    const { message, hint = damaged } = error;
    throw new RequestError({ message: `cannot be read: ${message}`, hint }, path);
  }
}

/** The error for other files. PyTorch's older format is a pickle of unknown length followed by numbers. */
async function requireZip(file: StillFile): Promise<void> {
  const head = new Uint8Array(Math.min(signatureBytes, file.size));
  await file.read(head, 0);
  const text = Buffer.from(head).toString('latin1');
  if (text.startsWith('PK\x03\x04')) return;
  if (text.startsWith('\x80')) {
    const message = 'is a Python pickle in the format that PyTorch had before 1.6, which is not read';
    throw new RequestError({ message, hint: pickleHint(basename(file.path).replace(/-\d+-of-/, '-*-of-')) }, file.path);
  }
  const { name, hint } = foreignFormat(head, file.path) ?? { name: 'no file of torch.save', hint: damaged };
  throw new RequestError({ message: `is ${name}`, hint }, file.path);
}

/** The folder in the archive that contains everything; torch.save names it after the file, or `archive`. */
function rootOf(entries: ReadonlyMap<string, ZipEntry>): string {
  const pickles = [...entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) throw new Damage('it is a zip archive, but none of torch.save: it holds no data.pkl');
  return pickles[0]!.slice(0, -'data.pkl'.length);
}

async function requireLittleEndian(file: StillFile, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return;
  const order = new TextDecoder().decode(await contentOf(file, entry));
  if (order !== 'little') throw new Damage(`its numbers are ${order.slice(0, 20)}-endian`);
}

async function contentOf(file: StillFile, { name, begin, size }: ZipEntry): Promise<Uint8Array> {
  if (size > mostPickleBytes) throw new Damage(`${name} in it takes ${size} bytes`);
  const bytes = new Uint8Array(size);
  await file.read(bytes, begin);
  return bytes;
}

/** The position in the file where the storage of a tensor begins. */
function beginOf({ storage }: StoredView, root: string, entries: ReadonlyMap<string, ZipEntry>): number {
  const entry = entries.get(`${root}data/${storage.key}`);
  const bytes = storage.length * dtypeBytes[storage.dtype];
  if (!entry) throw new Damage('the numbers of one of its tensors are missing');
  if (entry.size < bytes) throw new Damage(`${entry.name} in it has ${entry.size} bytes; its tensors have ${bytes}`);
  return entry.begin;
}

class TorchFile implements TensorStore {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string> = new Map();
  readonly #file: StillFile;
  readonly #views: ReadonlyMap<string, StoredView>;
  readonly #begins: ReadonlyMap<string, number>;

  constructor(file: StillFile, views: ReadonlyMap<string, StoredView>, begins: ReadonlyMap<string, number>) {
    this.#file = file;
    this.#views = views;
    this.#begins = begins;
    const tensors = [...views].map(([name, { storage, shape }]) => ({ name, dtype: storage.dtype, shape }));
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  async readFloat32(name: string, into?: Float32Array, from?: number): Promise<Float32Array> {
    const view = this.#view(name);
    const { dtype, values } = floatsToRead(this.tensors.get(name)!, this.#file.path, into, from);
    const first = from ?? 0;
    if (isRowMajor(view)) {
      const position = this.#begins.get(name)! + (view.offset + first) * dtypeBytes[dtype];
      await this.#file.readFloats(dtype, values, position);
    } else decodeFloats(dtype, await this.#gathered(name, first, values.length), values);
    return values;
  }

  fileOf(): string {
    return this.#file.path;
  }

  readBytes(name: string): Promise<Uint8Array> {
    return this.#gathered(name, 0, elementCount(this.#view(name).shape));
  }

  /** The bytes of `count` elements from element `from` on, in row-major order regardless of strides. */
  async #gathered(name: string, from: number, count: number): Promise<Uint8Array> {
    const { storage, offset, shape, strides } = this.#view(name);
    const width = dtypeBytes[storage.dtype];
    const last = shape.reduce((sum, size, axis) => sum + Math.max(0, size - 1) * strides[axis]!, 0);
    const held = new Uint8Array((last + 1) * width);
    const bytes = new Uint8Array(count * width);
    if (count === 0) return bytes;
    await this.#file.read(held, this.#begins.get(name)! + offset * width);
    const place = placesOf(shape, strides, from);
    for (let i = 0; i < count; i++) {
      const at = place() * width;
      for (let byte = 0; byte < width; byte++) bytes[i * width + byte] = held[at + byte]!;
    }
    return bytes;
  }

  #view(name: string): StoredView {
    return tensorNamed(this.#views, name, this.#file.path);
  }
}

function isRowMajor({ shape, strides }: StoredView): boolean {
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== stride) return false;
    stride *= shape[axis]!;
  }
  return true;
}

/** Returns a function that gives, call by call, the places in the storage of elements `from`, `from` + 1, …. */
function placesOf(shape: readonly number[], strides: readonly number[], from: number): () => number {
  const index = shape.map(() => 0);
  let rest = from;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
  }
  let next = index.reduce((sum, i, axis) => sum + i * strides[axis]!, 0);
  return () => {
    const place = next;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      next += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      next -= index[axis]! * strides[axis]!;
      index[axis] = 0;
    }
    return place;
  };
}
