import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { writeDirectoryAtomically, writeFileAtomically } from '../../src/checkpoint/atomic.ts';
import { disk } from '../faulty-disk.ts';

vi.mock('node:fs/promises', async (original) => (await import('../faulty-disk.ts')).faultyPromises(await original()));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-durable-'));
  disk.operations = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What was done, with paths from the folder on, and random parts of names left out. */
const done = () =>
  disk.operations.map(({ name, path }) =>
    `${name} ${path.replaceAll(`${folder}/`, '').replaceAll(folder, '.')}`.replaceAll(/\.tmp-\d+-[0-9a-f]+/g, '.tmp'),
  );
const places = (...operations: string[]) => operations.map((operation) => done().indexOf(operation));

/** The operations were all done, in this order. */
function expectOrder(...operations: string[]): void {
  const found = places(...operations);
  expect(Math.min(...found), `${operations} in ${done()}`).toBeGreaterThanOrEqual(0);
  expect([...found].sort((a, b) => a - b)).toEqual(found);
}

const fill = (text: string) => async (temporary: string) => {
  await mkdir(join(temporary, 'inner'));
  await writeFile(join(temporary, 'a'), text);
  await writeFile(join(temporary, 'inner', 'b'), text);
};

test('a file has reached the disk before it has its name, and the name before the write is over', async () => {
  await writeFileAtomically(join(folder, 'a.json'), 'text');
  expectOrder('write a.json.tmp', 'sync a.json.tmp', 'rename a.json.tmp → a.json', 'sync .');
});

test('so has a directory, with all that is in it', async () => {
  await writeDirectoryAtomically(join(folder, 'final'), fill('new'));
  const renamed = 'rename final.tmp → final';
  for (const path of ['final.tmp/a', 'final.tmp/inner/b', 'final.tmp/inner', 'final.tmp']) {
    expectOrder(`sync ${path}`, renamed);
  }
  expectOrder(renamed, 'sync .');
});

test('what a directory replaces is removed only after the new one has its name on the disk', async () => {
  await writeDirectoryAtomically(join(folder, 'final'), fill('old'));
  disk.operations = [];
  await writeDirectoryAtomically(join(folder, 'final'), fill('new'));
  expectOrder('rename final → final.replaced', 'rename final.tmp → final', 'sync .', 'rm final.replaced.tmp');
  expect(done().filter((operation) => operation.startsWith('rm '))).toHaveLength(1);
});

test('what an interrupted replacement has left is put back before anything else is done', async () => {
  await writeDirectoryAtomically(join(folder, 'final.replaced'), fill('old'));
  disk.operations = [];
  await writeDirectoryAtomically(join(folder, 'final'), fill('new'));
  expectOrder('rename final.replaced → final', 'mkdir final.tmp', 'rename final → final.replaced');
});

test('wherever the disk gives up, the old content or the new one is there whole', async () => {
  await writeDirectoryAtomically(join(folder, 'whole'), fill('new'));
  const operations = disk.operations.length;
  expect(operations).toBeGreaterThan(5);
  for (let from = 0; from < operations + 3; from++) {
    const final = join(folder, `final-${from}`);
    disk.refuse = () => undefined;
    await writeDirectoryAtomically(final, fill('old'));
    const begin = disk.operations.length;
    disk.refuse = (_, index) => (index >= begin + from ? 'EIO' : undefined);
    const error = await writeDirectoryAtomically(final, fill('new')).catch((failure: Error) => failure);
    disk.refuse = () => undefined;
    // Whoever comes next puts back what was between two names.
    if (error) await writeDirectoryAtomically(join(folder, 'other'), fill('x'));
    const names = [final, `${final}.replaced`];
    const texts = await Promise.all(names.map((name) => readFile(join(name, 'inner', 'b'), 'utf8').catch(() => '')));
    expect(['old', 'new'], `${basename(final)}: ${error}`).toContain(texts[0] || texts[1]);
  }
});
