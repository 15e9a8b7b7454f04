import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../config/assignments.ts';
import { packageFile } from '../files.ts';
import type { Json } from '../model/families/values.ts';

/** Python files stay beside the sources. */
const folder = packageFile('src', 'checkpoint');

/** The Python files that a config names as the code of its classes, such as `modeling_mixln.py`. */
function codeFiles({ auto_map: map }: Json): Set<string> {
  const classes = isRecord(map) ? Object.values(map).flat() : [];
  return new Set(classes.map((name) => `${String(name).split('.')[0]}.py`));
}

/** Whether there is code other than ours, which may compute anything. */
export function namesForeignCode(json: Json): boolean {
  return [...codeFiles(json)].some((name) => !/^\w+\.py$/.test(name) || !existsSync(join(folder, name)));
}

/** Copies the code that a written config names into its directory. */
export async function copyCode(json: Json, directory: string): Promise<void> {
  for (const name of codeFiles(json)) await copyFile(join(folder, name), join(directory, name));
}
