import type { StillFile } from '../still-file.ts';
import { Damage } from './damage.ts';

/** A file inside an archive, stored without compression. */
export interface ZipEntry {
  name: string;
  /** Position of its bytes in the archive. */
  begin: number;
  size: number;
}

/** The longest directory that is read, in bytes: room for far more entries than any model has tensors. */
const mostDirectoryBytes = 20_000_000;

/** Fixed parts of the records of an archive, in bytes (APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3). */
const sizes = { end: 22, locator: 20, end64: 56, central: 46, local: 30 } as const;
const longestComment = 0xffff;
const signatures = {
  end: 0x06054b50,
  locator: 0x07064b50,
  end64: 0x06064b50,
  central: 0x02014b50,
  local: 0x04034b50,
} as const;

/** Placeholder for a number that is given in a zip64 record instead. */
const [tooLarge16, tooLarge32] = [0xffff, 0xffffffff];

/**
 * The files inside a zip archive, by name. Only the features that PyTorch uses are supported: entries that are neither
 * compressed nor encrypted, in a single file, with zip64 records if sizes require them.
 * @throws Damage
 */
export async function readZip(file: StillFile): Promise<Map<string, ZipEntry>> {
  const directory = await readDirectory(file);
  const entries = new Map<string, ZipEntry>();
  for (const entry of parseDirectory(directory)) {
    if (entries.has(entry.name)) throw new Damage(`two of its files are called ${entry.name}`);
    entries.set(entry.name, await placed(file, entry));
  }
  return entries;
}

/** The central directory, which is found from the end of the archive. */
async function readDirectory(file: StillFile): Promise<DataView> {
  const tailBytes = Math.min(file.size, sizes.end + longestComment);
  const tail = await viewOf(file, file.size - tailBytes, tailBytes);
  const end = lastEnd(tail);
  if (end === undefined) throw new Damage('it has no end of a zip archive: it is cut off, or is no archive');
  const endPosition = file.size - tailBytes + end;
  if (tail.getUint16(end + 4, true) !== 0) throw new Damage('it is one of several parts of an archive');
  let [bytes, begin] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (tail.getUint16(end + 10, true) === tooLarge16 || bytes === tooLarge32 || begin === tooLarge32) {
    const locator = await viewOf(file, endPosition - sizes.locator, sizes.locator);
    requireSignature(locator, 'locator');
    const end64 = await viewOf(file, uint64(locator, 8), sizes.end64);
    requireSignature(end64, 'end64');
    [bytes, begin] = [uint64(end64, 40), uint64(end64, 48)];
  }
  if (begin + bytes > endPosition) throw new Damage('its list of files is outside it');
  if (bytes > mostDirectoryBytes) throw new Damage(`its list of files takes ${bytes} bytes`);
  return viewOf(file, begin, bytes);
}

/** The position in the archive's tail of its last record, which is followed only by the comment. */
function lastEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - sizes.end; at >= 0; at--) {
    const isEnd = tail.getUint32(at, true) === signatures.end;
    if (isEnd && at + sizes.end + tail.getUint16(at + 20, true) === tail.byteLength) return at;
  }
  return undefined;
}

interface Listed {
  name: string;
  size: number;
  /** Position of its local header. */
  header: number;
}

function* parseDirectory(view: DataView): Generator<Listed> {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let at = 0; at < view.byteLength; ) {
    requireRoom(view, at + sizes.central);
    requireSignature(view, 'central', at);
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const nameEnd = at + sizes.central + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    requireRoom(view, next);
    const name = new TextDecoder().decode(bytes.subarray(at + sizes.central, nameEnd));
    if ((flags & 1) !== 0) throw new Damage(`${name} in it is encrypted`);
    if (method !== 0) throw new Damage(`${name} in it is compressed, which PyTorch never does`);
    // In this order, and only those that do not fit into 32 bits (section 4.5.3).
    const wanted = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
    const extra = zip64Numbers(view, nameEnd, extraEnd);
    const [size, stored, header] = wanted.map((value) => {
      if (value !== tooLarge32) return value;
      const found = extra.shift();
      if (found === undefined) throw new Damage(`the size of ${name} in it is missing`);
      return found;
    }) as [number, number, number];
    if (size !== stored) throw new Damage(`${name} in it has two sizes`);
    yield { name, size, header };
    at = next;
  }
}

/** The 64-bit numbers in the extra fields between two positions. */
function zip64Numbers(view: DataView, begin: number, end: number): number[] {
  for (let at = begin; at + 4 <= end; ) {
    const [id, bytes] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const next = at + 4 + bytes;
    if (next > end) break;
    if (id === 1) return Array.from({ length: Math.floor(bytes / 8) }, (_, i) => uint64(view, at + 4 + 8 * i));
    at = next;
  }
  return [];
}

/** The entry with the position of its bytes, which follow its local header. */
async function placed(file: StillFile, { name, size, header }: Listed): Promise<ZipEntry> {
  const local = await viewOf(file, header, sizes.local);
  requireSignature(local, 'local');
  const begin = header + sizes.local + local.getUint16(26, true) + local.getUint16(28, true);
  if (begin + size > file.size) throw new Damage(`${name} in it ends after it`);
  return { name, begin, size };
}

async function viewOf(file: StillFile, begin: number, bytes: number): Promise<DataView> {
  if (begin < 0 || begin + bytes > file.size) throw new Damage('one of its records is outside it');
  const read = new Uint8Array(bytes);
  await file.read(read, begin);
  return new DataView(read.buffer);
}

function requireRoom(view: DataView, end: number): void {
  if (end > view.byteLength) throw new Damage('its list of files is cut off');
}

function requireSignature(view: DataView, record: keyof typeof signatures, at = 0): void {
  if (view.getUint32(at, true) !== signatures[record]) throw new Damage('one of its records is not where it should be');
}

function uint64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Damage('it has a number that no file is as large as');
  return Number(value);
}
