import { isUtf8 } from 'node:buffer';
import { constants, type Stats, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type Problem, RequestError } from './errors.ts';

const mebibyte = 2 ** 20;

/** No file that a person writes by hand comes near it. */
export const handWrittenLimit = 16 * mebibyte;

/** What a path leads to; nothing where it leads nowhere, cannot be followed or can be no path. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Opens a regular file to read it; nothing where there is none. What is no regular file is named, never waited for. */
export async function openRegularFile(path: string, name = path): Promise<FileHandle | undefined> {
  // Without O_NONBLOCK, opening a named pipe waits for somebody to write to it.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new RequestError({ where: name, message: openFailures.get(code ?? '') ?? `cannot be read (${code})` });
  });
  if (!handle) return undefined;
  const stats = await handle.stat();
  if (stats.isFile()) return handle;
  await handle.close();
  const kind = stats.isDirectory() ? 'a folder' : stats.isFIFO() ? 'a pipe' : 'a device';
  throw new RequestError({ where: name, message: `is ${kind}, not a file` });
}

const openFailures: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'cannot be read: permission denied'],
  ['EPERM', 'cannot be read: permission denied'],
  ['ELOOP', 'cannot be read: a link that leads to itself'],
  ['ENXIO', 'is a socket, not a file'],
  ['ENAMETOOLONG', 'cannot be read: the name is too long'],
]);

/** The bytes of a regular file of at most `limit` bytes; nothing where there is none. */
export async function readRegularFile(path: string, limit: number, name = path): Promise<Buffer | undefined> {
  const handle = await openRegularFile(path, name);
  if (!handle) return undefined;
  const chunks: Buffer[] = [];
  // The size that a file says it has does not bind it (those in /proc say 0).
  for await (const chunk of handle.createReadStream({ end: limit })) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (bytes.length <= limit) return bytes;
  throw new RequestError({ where: name, message: `is larger than ${Math.round(limit / mebibyte)} MiB` });
}

/** The text of a regular file in UTF-8, of at most `limit` bytes; nothing where there is none. */
export async function readTextFile(
  path: string,
  { name = path, limit = handWrittenLimit }: { name?: string; limit?: number } = {},
): Promise<string | undefined> {
  const bytes = await readRegularFile(path, limit, name);
  return bytes && decodeText(bytes, name);
}

/** Text of UTF-8 bytes, without a byte order mark; bytes of anything else are named as what they are. */
export function decodeText(bytes: Uint8Array, name: string): string {
  const otherwise = encodingProblem(bytes, name);
  if (otherwise) throw new RequestError(otherwise);
  const format = binaryFormatOf(bytes);
  if (format || bytes.subarray(0, 1024).includes(0)) {
    throw new RequestError({ where: name, message: `is ${format ?? 'binary data'}, not text` });
  }
  if (!isUtf8(bytes)) {
    const hint = 'convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8';
    throw new RequestError({ where: name, line: firstBrokenLine(bytes), message: 'is not UTF-8 text', hint });
  }
  return new TextDecoder().decode(bytes);
}

/** Text whose first bytes are those of UTF-16 or UTF-32. */
export function encodingProblem(bytes: Uint8Array, name: string): Problem | undefined {
  const encoding = otherEncoding(bytes);
  if (!encoding) return undefined;
  const hint = `save it as UTF-8, for instance with iconv -f ${encoding} -t UTF-8`;
  return { where: name, message: `is text in ${encoding}, not in UTF-8`, hint };
}

/** By its byte order mark, or by where the zeros of its first character stand. */
function otherEncoding(bytes: Uint8Array): string | undefined {
  const [a, b, c, d] = bytes;
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 ? 'UTF-32LE' : 'UTF-16LE';
  if (a === 0xfe && b === 0xff) return 'UTF-16BE';
  if (a === 0 && b === 0) return (c === 0xfe && d === 0xff) || (c === 0 && d) ? 'UTF-32BE' : undefined;
  if (a && b === 0) return c === 0 && d === 0 ? 'UTF-32LE' : c && d === 0 ? 'UTF-16LE' : undefined;
  return a === 0 && b && c === 0 && d ? 'UTF-16BE' : undefined;
}

/** Files that are taken for text by mistake, by their first bytes. */
const binaryFormats = [
  ['\x1f\x8b', 'a gzip archive'],
  ['PK\x03\x04', 'a zip archive'],
  ['\x28\xb5\x2f\xfd', 'a zstd archive'],
  ['BZh', 'a bzip2 archive'],
  ['\xfd7zXZ\x00', 'an xz archive'],
  ['7z\xbc\xaf\x27\x1c', 'a 7z archive'],
  ['PAR1', 'a Parquet file'],
  ['ARROW1', 'an Arrow file'],
  ['\xff\xff\xff\xff', 'an Arrow stream'],
  ['\x80\x02', 'a pickle'],
  ['\x80\x03', 'a pickle'],
  ['\x80\x04', 'a pickle'],
  ['\x80\x05', 'a pickle'],
  ['SQLite format 3\x00', 'an SQLite database'],
  ['\x89HDF', 'an HDF5 file'],
  ['\x93NUMPY', 'a NumPy array'],
  ['GGUF', 'a GGUF model'],
  ['%PDF-', 'a PDF document'],
] as const;

export type BinaryFormat = (typeof binaryFormats)[number][1];

/** What the first bytes of a file say that it is, where that is nothing that can be read as text. */
export function binaryFormatOf(bytes: Uint8Array): BinaryFormat | undefined {
  return binaryFormats.find(([signature]) => startsWith(bytes, Buffer.from(signature, 'latin1')))?.[1];
}

function startsWith(bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.every((byte, index) => bytes[index] === byte);
}

/** 1-based. A line feed is a byte of its own in UTF-8, so lines can be looked at one by one. */
function firstBrokenLine(bytes: Uint8Array): number {
  let line = 1;
  for (let start = 0; ; line++) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}
