import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { recoverDirectory } from '../../src/checkpoint/atomic.ts';
import { readManifest, verifyManifest } from '../../src/checkpoint/manifest.ts';
import { thorough } from '../thorough.ts';
import { temporaryFolder } from './temporary.ts';

const built = (module: string): URL => new URL(`../../dist/${module}`, import.meta.url);

/** Writes `final` over and over, with a dot for each time; each directory holds one number in several files. */
const writer = `
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDirectoryAtomically } from '${built('checkpoint/atomic.js')}';
import { writeManifest } from '${built('checkpoint/manifest.js')}';
const [final, first] = process.argv.slice(2);
for (let round = Number(first); ; round++) {
  await writeDirectoryAtomically(final, async (temporary) => {
    for (const name of ['a', 'b', 'c']) await writeFile(join(temporary, name), String(round).repeat(20000));
    await writeManifest(temporary, { round });
  });
  process.stdout.write('.');
}
`;

test('a directory is whole whenever its writer is killed', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'writer.mjs'), writer);
  const final = join(folder, 'final');

  const kills = thorough ? 20 : 4;
  let newest = -1;
  for (let kill = 0; kill < kills; kill++) {
    const child = spawn(process.execPath, [join(folder, 'writer.mjs'), final, String(newest + 1)], { stdio: 'pipe' });
    await once(child.stdout, 'data');
    // Anywhere in a round, or in the one after it.
    await pause((7 * kill) % 30);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await recoverDirectory(final);
    expect(await verifyManifest(final)).toEqual([]);
    const round = (await readManifest(final))!.round as number;
    expect(round).toBeGreaterThan(newest);
    for (const name of ['a', 'b', 'c']) {
      expect(await readFile(join(final, name), 'utf8')).toBe(String(round).repeat(20000));
    }
    newest = round;
  }
  const leftovers = (await readdir(folder)).filter((name) => name.startsWith('final.tmp-'));
  expect(leftovers.length).toBeLessThanOrEqual(1);
});
