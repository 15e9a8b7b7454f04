import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
let folder: string;

/** A package of one source file, with the packages of this one. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-setup-'));
  await mkdir(join(folder, 'src', 'cli'), { recursive: true });
  await copyFile(join(root, 'src', 'setup.mjs'), join(folder, 'src', 'setup.mjs'));
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json']) {
    await copyFile(join(root, file), join(folder, file));
  }
  await utimes(join(folder, 'package-lock.json'), 0, 0);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'src', 'cli', 'main.ts'), 'export const answer: number = 1;\n');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function setup(): Promise<{ status: number; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [join(folder, 'src', 'setup.mjs')], (error, _stdout, stderr) => {
      done({ status: typeof error?.code === 'number' ? error.code : 0, stderr });
    });
  });
}

it('builds what has changed, and else does nothing', async () => {
  const main = join(folder, 'dist', 'cli', 'main.js');
  expect(await setup()).toEqual({ status: 0, stderr: 'mixtune: building (tsc)\n' });
  expect((await stat(main)).mode & 0o111).not.toBe(0);
  expect(await setup()).toEqual({ status: 0, stderr: '' });

  await writeFile(join(folder, 'src', 'cli', 'main.ts'), 'export const answer: number = 2;\n');
  expect(await setup()).toEqual({ status: 0, stderr: 'mixtune: building (tsc)\n' });
  expect(await readFile(main, 'utf8')).toContain('answer = 2');
});

it('keeps the last build where the sources do not compile', async () => {
  await setup();
  await writeFile(join(folder, 'src', 'cli', 'main.ts'), "export const answer: number = 'two';\n");
  const { status, stderr } = await setup();
  expect(status).not.toBe(0);
  expect(stderr).toContain("Type 'string' is not assignable to type 'number'");
  expect(existsSync(join(folder, 'dist', 'cli', 'main.js'))).toBe(true);
});
