import { type Problem, RequestError } from '../errors.ts';
import { dtypeBytes } from './dtype.ts';
import { foreignFormat, signatureBytes } from './file-formats.ts';
import { maxHeaderBytes, parseHeader, type SafetensorsHeader, type TensorInfo } from './safetensors-header.ts';
import { StillFile } from './still-file.ts';
import { floatsToRead, type TensorStore, tensorNamed } from './tensor-store.ts';

const openingBrace = 0x7b;
const damaged = 'the file is damaged or was not written by safetensors: copy or download it again';

/**
 * Reads and checks the header of a `.safetensors` file.
 * @throws RequestError listing everything wrong with the file
 */
export async function openSafetensors(path: string): Promise<TensorStore> {
  const file = await StillFile.open(path, damaged);
  const { header, dataStart } = await readHeader(file);
  return new SafetensorsFile(file, header, dataStart);
}

class SafetensorsFile implements TensorStore {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #file: StillFile;
  readonly #dataStart: number;

  constructor(file: StillFile, header: SafetensorsHeader, dataStart: number) {
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#file = file;
    this.#dataStart = dataStart;
  }

  async readFloat32(name: string, into?: Float32Array, from?: number): Promise<Float32Array> {
    const tensor = this.#tensor(name);
    const { dtype, values } = floatsToRead(tensor, this.#file.path, into, from);
    await this.#file.readFloats(dtype, values, this.#dataStart + tensor.begin + (from ?? 0) * dtypeBytes[dtype]);
    return values;
  }

  fileOf(): string {
    return this.#file.path;
  }

  async readBytes(name: string): Promise<Uint8Array> {
    const { begin, end } = this.#tensor(name);
    const bytes = new Uint8Array(end - begin);
    await this.#file.read(bytes, this.#dataStart + begin);
    return bytes;
  }

  #tensor(name: string): TensorInfo {
    return tensorNamed(this.tensors, name, this.#file.path);
  }
}

async function readHeader(file: StillFile): Promise<{ header: SafetensorsHeader; dataStart: number }> {
  const { path, size: fileBytes } = file;
  const refuse = (problems: Problem[]): never => {
    throw new RequestError(
      problems.map((problem) => ({ hint: damaged, ...problem })),
      path,
    );
  };
  if (fileBytes < 8)
    return refuse([{ message: `has ${fileBytes} bytes; a safetensors file starts with 8 bytes of header length` }]);
  const head = new Uint8Array(Math.min(signatureBytes, fileBytes));
  await file.read(head, 0);
  const format = head[8] === openingBrace ? undefined : foreignFormat(head, path);
  if (format) return refuse([{ message: `is ${format.name}, not a safetensors file`, hint: format.hint }]);
  const length = new DataView(head.buffer).getBigUint64(0, true);
  if (length > maxHeaderBytes) return refuse([{ message: `the header length ${length} is above ${maxHeaderBytes}` }]);
  const dataStart = 8 + Number(length);
  if (dataStart > fileBytes) {
    return refuse([{ message: `the header ends at byte ${dataStart}, but the file has ${fileBytes}` }]);
  }
  const bytes = new Uint8Array(Number(length));
  await file.read(bytes, 8);
  const header = parseHeader(bytes, fileBytes - dataStart);
  return Array.isArray(header) ? refuse(header) : { header, dataStart };
}
