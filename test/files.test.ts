import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readTextFile, statsOf } from '../src/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'mixtune-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

function written(name: string, bytes: string | Uint8Array): string {
  writeFileSync(at(name), bytes);
  return at(name);
}

const utf32 = (text: string, bigEndian: boolean) => {
  const bytes = Buffer.alloc(4 * text.length);
  for (const [i, letter] of [...text].entries()) {
    if (bigEndian) bytes.writeUInt32BE(letter.codePointAt(0)!, 4 * i);
    else bytes.writeUInt32LE(letter.codePointAt(0)!, 4 * i);
  }
  return bytes;
};
const utf16 = (text: string, bigEndian: boolean) => {
  const bytes = Buffer.from(text, 'utf16le');
  return bigEndian ? bytes.swap16() : bytes;
};

describe('what is given as a text file', () => {
  it('is its text, without a byte order mark', async () => {
    expect(await readTextFile(written('good', '\uFEFFname: größer\n'))).toBe('name: größer\n');
    expect(await readTextFile(written('empty', ''))).toBe('');
  });

  it('has a name that no file can have', async () => {
    await expect(readTextFile(at('x'.repeat(10_000)))).rejects.toThrow('cannot be read: the name is too long');
    expect(statsOf(at('x'.repeat(10_000)))).toBeUndefined();
    expect(statsOf('a\0b')).toBeUndefined();
  });

  it('is nothing where there is none', async () => {
    expect(await readTextFile(at('missing'))).toBeUndefined();
    expect(await readTextFile(join(written('file', ''), 'below'))).toBeUndefined();
  });

  it.each([
    ['UTF-16LE', utf16('name: x', false)],
    ['UTF-16BE', utf16('name: x', true)],
    ['UTF-16LE', utf16('\uFEFFname: x', false)],
    ['UTF-16BE', utf16('\uFEFFname: x', true)],
    ['UTF-32LE', utf32('name: x', false)],
    ['UTF-32BE', utf32('name: x', true)],
    ['UTF-32LE', utf32('\uFEFFname: x', false)],
    ['UTF-32BE', utf32('\uFEFFname: x', true)],
  ])('in %s is named with its encoding', async (encoding, bytes) => {
    await expect(readTextFile(written('other', bytes))).rejects.toThrow(
      `is text in ${encoding}, not in UTF-8\n           → hint: save it as UTF-8, for instance with iconv -f ${encoding}`,
    );
  });

  it.each([
    ['a gzip archive', '\x1f\x8b\x08\x00'],
    ['a zip archive', 'PK\x03\x04\x14\x00'],
    ['a Parquet file', 'PAR1\x15\x04'],
    ['a GGUF model', 'GGUF\x03\x00\x00\x00'],
    ['binary data', 'name: x\n\x00\x00\x00'],
    ['binary data', '\x00\x00\x00\x00\x00\x00\x00\x00'],
  ])('and is %s is named', async (kind, bytes) => {
    const path = written('binary', Buffer.from(bytes, 'latin1'));
    await expect(readTextFile(path)).rejects.toThrow(`${path}: is ${kind}, not text`);
  });

  it('in another encoding is named with the first line that is none', async () => {
    const path = written('latin', Buffer.from('name: x\nabout: größer\n', 'latin1'));
    await expect(readTextFile(path, { name: 'mine.yaml' })).rejects.toThrow('line 2  mine.yaml: is not UTF-8 text');
  });

  it('and is too large is not read to its end', async () => {
    const path = written('large', 'x'.repeat(2 ** 20 + 1));
    await expect(readTextFile(path, { limit: 2 ** 20 })).rejects.toThrow(`${path}: is larger than 1 MiB`);
    expect(await readTextFile(path, { limit: 2 ** 20 + 1 })).toHaveLength(2 ** 20 + 1);
  });

  it('and is a folder or leads to itself is named', async () => {
    mkdirSync(at('folder'));
    symlinkSync('loop', at('loop'));
    await expect(readTextFile(at('folder'))).rejects.toThrow('is a folder, not a file');
    await expect(readTextFile(at('loop'))).rejects.toThrow('a link that leads to itself');
  });

  it.skipIf(process.platform === 'win32')('and is a pipe or a device is named, not waited for', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    symlinkSync('/dev/zero', at('zeros'));
    await expect(readTextFile(at('pipe'))).rejects.toThrow('is a pipe, not a file');
    await expect(readTextFile(at('zeros'))).rejects.toThrow('is a device, not a file');
  });
});
