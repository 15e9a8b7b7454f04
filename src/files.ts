import { isUtf8 } from 'node:buffer';
import { constants, existsSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Problem, RequestError } from './errors.ts';

const mebibyte = 2 ** 20;

/** In bytes; no file written by hand is nearly as large. */
export const handWrittenLimit = 16 * mebibyte;

/** The path of a file or folder of this package, wherever in it the code that is running lies. */
export const packageFile = (...parts: string[]): string => join(packageFolder(), ...parts);

function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

/** Stats of what a path leads to; undefined if there is nothing, it cannot be followed or it is not a valid path. */
export function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/**
 * Opens a regular file for reading, undefined if it does not exist. `name` is what messages call it.
 * @throws RequestError if the path cannot be read or is not a regular file; never blocks on a pipe
 */
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

/**
 * Reads a regular file, undefined if it does not exist. `name` is what messages call it.
 * @throws RequestError if it cannot be read or is larger than `limit` bytes
 */
export async function readRegularFile(path: string, limit: number, name = path): Promise<Buffer | undefined> {
  const handle = await openRegularFile(path, name);
  if (!handle) return undefined;
  const chunks: Buffer[] = [];
  // The size that stat reports cannot be trusted: it is 0 for files in /proc.
  for await (const chunk of handle.createReadStream({ end: limit })) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  if (bytes.length <= limit) return bytes;
  throw new RequestError({ where: name, message: `is larger than ${Math.round(limit / mebibyte)} MiB` });
}

/**
 * Reads a UTF-8 text file, undefined if it does not exist. `name` is what messages call it.
 * @throws RequestError if it cannot be read, is larger than `limit` bytes or is not UTF-8 text
 */
export async function readTextFile(
  path: string,
  { name = path, limit = handWrittenLimit }: { name?: string; limit?: number } = {},
): Promise<string | undefined> {
  const bytes = await readRegularFile(path, limit, name);
  return bytes && decodeText(bytes, name);
}

/**
 * Decodes UTF-8 bytes and drops a byte order mark. `name` is what messages call the file.
 * @throws RequestError that says what the bytes are if they are not UTF-8 text
 */
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

/** A problem if the first bytes look like text in UTF-16 or UTF-32. */
export function encodingProblem(bytes: Uint8Array, name: string): Problem | undefined {
  const encoding = otherEncoding(bytes);
  if (!encoding) return undefined;
  const hint = `save it as UTF-8, for instance with iconv -f ${encoding} -t UTF-8`;
  return { where: name, message: `is text in ${encoding}, not in UTF-8`, hint };
}

/** Recognised by the byte order mark, or by the position of the zero bytes in the first character. */
function otherEncoding(bytes: Uint8Array): string | undefined {
  const [a, b, c, d] = bytes;
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 ? 'UTF-32LE' : 'UTF-16LE';
  if (a === 0xfe && b === 0xff) return 'UTF-16BE';
  if (a === 0 && b === 0) return (c === 0xfe && d === 0xff) || (c === 0 && d) ? 'UTF-32BE' : undefined;
  if (a && b === 0) return c === 0 && d === 0 ? 'UTF-32LE' : c && d === 0 ? 'UTF-16LE' : undefined;
  return a === 0 && b && c === 0 && d ? 'UTF-16BE' : undefined;
}

/** Files that are sometimes mistaken for text, by their first bytes. */
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

/** The binary format that the first bytes of a file belong to, undefined if they belong to none that is known. */
export function binaryFormatOf(bytes: Uint8Array): BinaryFormat | undefined {
  return binaryFormats.find(([signature]) => startsWith(bytes, Buffer.from(signature, 'latin1')))?.[1];
}

function startsWith(bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.every((byte, index) => bytes[index] === byte);
}

/** 1-based. In UTF-8 the byte of a line feed is part of no other character, so each line can be checked by itself. */
function firstBrokenLine(bytes: Uint8Array): number {
  let line = 1;
  for (let start = 0; ; line++) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}
