import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  recoverDirectory,
  removeLeftovers,
  requireFreeSpace,
  writeDirectoryAtomically,
  writeFileAtomically,
} from '../../src/checkpoint/atomic.ts';
import { temporaryFolder } from './temporary.ts';

describe('a directory', () => {
  test('appears whole under its name, and nothing else stays', async () => {
    const folder = await temporaryFolder();
    const final = join(folder, 'made', 'final');
    await writeDirectoryAtomically(final, async (temporary) => {
      await mkdir(join(temporary, 'inner'));
      await writeFile(join(temporary, 'inner', 'a'), 'new');
      await expect(stat(final)).rejects.toThrow('ENOENT');
    });
    expect(await readFile(join(final, 'inner', 'a'), 'utf8')).toBe('new');
    expect(await readdir(join(folder, 'made'))).toEqual(['final']);
  });

  test('replaces another with no file of the old one left', async () => {
    const folder = await temporaryFolder();
    const final = join(folder, 'final');
    await writeDirectoryAtomically(final, (temporary) => writeFile(join(temporary, 'old'), 'old'));
    await writeDirectoryAtomically(final, async (temporary) => {
      await writeFile(join(temporary, 'new'), 'new');
      expect(await readdir(final)).toEqual(['old']);
    });
    expect(await readdir(final)).toEqual(['new']);
    expect(await readdir(folder)).toEqual(['final']);
  });

  test('stays as it was where writing fails', async () => {
    const folder = await temporaryFolder();
    const final = join(folder, 'final');
    await writeDirectoryAtomically(final, (temporary) => writeFile(join(temporary, 'old'), 'old'));
    const failing = writeDirectoryAtomically(final, async (temporary) => {
      await writeFile(join(temporary, 'new'), 'new');
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(await readdir(final)).toEqual(['old']);
    expect(await readdir(folder)).toEqual(['final']);
  });

  test('comes back after a crash between the two renames', async () => {
    const folder = await temporaryFolder();
    const final = join(folder, 'final');
    await writeDirectoryAtomically(final, (temporary) => writeFile(join(temporary, 'old'), 'old'));
    await rename(final, `${final}.replaced`);
    await recoverDirectory(final);
    expect(await readdir(final)).toEqual(['old']);
    await recoverDirectory(final);
    expect(await readdir(folder)).toEqual(['final']);
  });

  test('clears away what a process that is gone has left, and nothing of one that runs', async () => {
    const folder = await temporaryFolder();
    const gone = 'final.tmp-4194305-0123abcd'; // above the largest process id of Linux and macOS
    const running = `final.tmp-${process.pid}-0123abcd`;
    for (const name of [gone, running, 'final.tmp-notes']) await mkdir(join(folder, name));
    await writeDirectoryAtomically(join(folder, 'final'), async () => {});
    expect(await readdir(folder)).toEqual(['final', running, 'final.tmp-notes'].sort());
  });
});

test('what interrupted writes have left is removed, and nothing else', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'state-000002.tmp-1-0123abcd', 'model'), { recursive: true });
  for (const name of ['metrics.jsonl.tmp-99-0123abcd', 'metrics.jsonl', 'notes.tmp-1'])
    await writeFile(join(folder, name), '');
  await removeLeftovers(folder);
  expect((await readdir(folder)).sort()).toEqual(['metrics.jsonl', 'notes.tmp-1']);
});

describe('a file', () => {
  test('is replaced in one step and survives a failure', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'a.json');
    await writeFileAtomically(path, 'one');
    await writeFileAtomically(path, Buffer.from('two'));
    const failing = writeFileAtomically(path, async (file) => {
      await file.write('thr');
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(await readFile(path, 'utf8')).toBe('two');
    expect(await readdir(folder)).toEqual(['a.json']);
  });
});

test('a disk that becomes full is said in words', async () => {
  const folder = await temporaryFolder();
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });
  const says = /final could not be written: the disk is full \(ENOSPC\); what was there before is untouched/;
  await expect(writeDirectoryAtomically(join(folder, 'final'), () => Promise.reject(full))).rejects.toThrow(says);
  await expect(writeFileAtomically(join(folder, 'final'), () => Promise.reject(full))).rejects.toThrow(says);
  // What cannot be read elsewhere is not for the disk to mend.
  const missing = join(folder, '..', 'not-there', 'a.py');
  const reading = async (temporary: string) => writeFile(join(temporary, 'a'), await readFile(missing));
  await expect(writeDirectoryAtomically(join(folder, 'final'), reading)).rejects.toThrow(/^ENOENT.*a\.py/);
  expect(await readdir(folder)).toEqual([]);
});

test('too little space is said before anything is written', async () => {
  const folder = await temporaryFolder();
  await requireFreeSpace(folder, 1, 'a checkpoint');
  await expect(requireFreeSpace(folder, 1e18, 'a checkpoint')).rejects.toThrow(
    /could not be written: a checkpoint needs 1000000000\.00 GB, and [\d.]+ [GM]B are free/,
  );
});
