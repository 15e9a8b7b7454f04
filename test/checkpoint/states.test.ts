import { appendFile, mkdir, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readManifest, verifyManifest, writeManifest } from '../../src/checkpoint/manifest.ts';
import { rotateStates, wholeStates, writeState } from '../../src/checkpoint/states.ts';
import type { Problem } from '../../src/errors.ts';
import { temporaryFolder } from './temporary.ts';

describe('manifest', () => {
  test('holds sizes, SHA-256 and details', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'final'));
    await writeFile(join(folder, 'final', 'a.txt'), 'abc');
    await writeFile(join(folder, 'log.txt'), 'still growing');
    await writeManifest(folder, { key: 'k' }, ['final']);
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'; // FIPS 180-2, appendix B.1
    expect(await readManifest(folder)).toEqual({
      version: 1,
      key: 'k',
      files: { 'final/a.txt': { bytes: 3, sha256: abc } },
    });
    await appendFile(join(folder, 'log.txt'), '…');
    expect(await verifyManifest(folder)).toEqual([]);
  });

  test('tells unfinished, missing, cut and damaged apart', async () => {
    const folder = await temporaryFolder();
    const path = (name: string) => join(folder, name);
    for (const name of ['cut', 'damaged', 'missing', 'whole']) await writeFile(path(name), 'abc');
    expect((await verifyManifest(folder)).map(({ message }) => message)).toEqual([
      'has no readable manifest.json: it was not finished',
    ]);
    await writeManifest(folder);
    await truncate(path('cut'), 2);
    await writeFile(path('damaged'), 'abd');
    await rm(path('missing'));
    expect(await verifyManifest(folder)).toEqual([
      { where: path('cut'), message: 'has 2 bytes, 3 were written' },
      { where: path('damaged'), message: 'is damaged: its hash differs from the one that was recorded' },
      { where: path('missing'), message: 'is missing' },
    ]);
    await truncate(path('manifest.json'), 20);
    expect(await readManifest(folder)).toBeUndefined();
  });
});

describe('states', () => {
  async function newestState(node: string) {
    const skipped: Problem[] = [];
    const { value } = await wholeStates(node, (problem) => skipped.push(problem)).next();
    return { state: value && { directory: value.directory, step: value.place.step }, skipped };
  }

  const save = (directory: string) => writeFile(join(directory, 'weights'), 'abc');

  test('the newest whole one is found and the damaged one reported', async () => {
    const node = await temporaryFolder();
    expect(await newestState(node)).toEqual({ state: undefined, skipped: [] });
    expect(await newestState(join(node, 'not-there'))).toEqual({ state: undefined, skipped: [] });
    for (const step of [5, 1_000_000, 999_999]) await writeState(node, { step }, save);
    expect((await newestState(node)).state?.step).toBe(1_000_000);
    await rm(join(node, 'state-1000000', 'weights'));
    await mkdir(join(node, 'state-2000000'));
    const { state, skipped } = await newestState(node);
    expect(state).toEqual({ step: 999_999, directory: join(node, 'state-999999') });
    expect(skipped.map(({ message }) => message)).toEqual([
      'has no readable manifest.json: it was not finished',
      'is missing',
    ]);
  });

  test('one in the middle of a step is newer than the one behind the step before, and older than the next', async () => {
    const node = await temporaryFolder();
    const places = [{ step: 2, pauses: 10 }, { step: 2 }, { step: 2, pauses: 9 }];
    for (const place of places) await writeState(node, place, save);
    expect((await newestState(node)).state).toEqual({ step: 2, directory: join(node, 'state-000002+10') });
    await writeState(node, { step: 3 }, save);
    expect((await newestState(node)).state?.step).toBe(3);
    await rotateStates(node, 2, ['state-000002']);
    expect((await readdir(node)).sort()).toEqual(['state-000002', 'state-000002+10', 'state-000003']);
  });

  test('a state whose saving fails is not there at all', async () => {
    const node = await temporaryFolder();
    const failing = writeState(node, { step: 1 }, async (directory) => {
      await save(directory);
      throw new Error('disk full');
    });
    await expect(failing).rejects.toThrow('disk full');
    expect(await readdir(node)).toEqual([]);
  });

  test('rotation keeps the newest, the best, the last and what it is told to', async () => {
    const node = await temporaryFolder();
    for (let step = 1; step <= 8; step++) await writeState(node, { step }, save);
    await symlink('state-000002', join(node, 'best'));
    await symlink('state-000003', join(node, 'last'));
    await mkdir(join(node, 'state-000001.tmp-4194305-0123abcd'));
    await mkdir(join(node, 'final'));
    await rotateStates(node, 2, ['state-000005']);
    expect((await readdir(node)).sort()).toEqual([
      'best',
      'final',
      'last',
      'state-000002',
      'state-000003',
      'state-000005',
      'state-000007',
      'state-000008',
    ]);
  });
});
