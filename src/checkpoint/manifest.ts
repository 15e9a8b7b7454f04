import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import type { Problem } from '../errors.ts';
import { writeFileAtomically } from './atomic.ts';

/** The file whose presence shows that a directory is complete. */
export const manifestFile = 'manifest.json';

const schema = z.looseObject({
  version: z.literal(1),
  files: z.record(z.string(), z.strictObject({ bytes: z.int(), sha256: z.string() })),
});

/** Sizes and hashes of the files of a finished directory, by path with `/`, and any further details. */
export type Manifest = z.infer<typeof schema>;

/**
 * Writes `manifest.json` into `directory`, last, so that its presence shows that everything else is complete. `parts`
 * are the files and folders below `directory` that it covers; by default all.
 */
export async function writeManifest(
  directory: string,
  details: Readonly<Record<string, unknown>> = {},
  parts: readonly string[] = ['.'],
): Promise<void> {
  const files: Manifest['files'] = {};
  for (const part of parts) {
    for (const path of await filesBelow(join(directory, part))) {
      const name = relative(directory, path).split(sep).join('/');
      if (name !== manifestFile) files[name] = { bytes: (await stat(path)).size, sha256: await sha256(path) };
    }
  }
  const manifest: Manifest = { ...details, version: 1, files };
  await writeFileAtomically(join(directory, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The manifest of a directory; undefined if it is missing or damaged, that is, if nothing was finished. */
export async function readManifest(directory: string): Promise<Manifest | undefined> {
  try {
    return schema.parse(parseJson(await readFile(join(directory, manifestFile), 'utf8')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SyntaxError || error instanceof z.ZodError || code === 'ENOENT' || code === 'ENOTDIR') {
      return undefined;
    }
    throw error;
  }
}

/** What is missing or damaged in a directory, according to its manifest; empty if nothing is. Reads every file once. */
export async function verifyManifest(directory: string): Promise<Problem[]> {
  const manifest = await readManifest(directory);
  if (!manifest) return [{ where: directory, message: `has no readable ${manifestFile}: it was not finished` }];
  const problems: Problem[] = [];
  for (const [name, expected] of Object.entries(manifest.files)) {
    const path = join(directory, name);
    const size = await stat(path).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined) problems.push({ where: path, message: 'is missing' });
    else if (size !== expected.bytes) {
      problems.push({ where: path, message: `has ${size} bytes, ${expected.bytes} were written` });
    } else if ((await sha256(path)) !== expected.sha256) {
      problems.push({ where: path, message: 'is damaged: its hash differs from the one that was recorded' });
    }
  }
  return problems;
}

async function filesBelow(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
