import { readFile } from 'node:fs/promises';
import type { LoadHook } from 'node:module';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/wasm-typescript';

/** A load hook of Node's: TypeScript modules of a user's own become JavaScript, and what they import as well. */
export const load: LoadHook = async (url, context, next) => {
  if (!/^file:.*\.[cm]?ts$/.test(url)) return next(url, context);
  const filename = fileURLToPath(url);
  try {
    const { code } = transformSync(await readFile(filename, 'utf8'), { filename, mode: 'transform', sourceMap: false });
    return { format: 'module', source: code, shortCircuit: true };
  } catch (error) {
    // The compiler throws plain objects with a message and a place.
    const { message, startLine } = error as { message?: string; startLine?: number };
    throw new SyntaxError(`${filename}${startLine === undefined ? '' : `, line ${startLine}`}: ${message ?? error}`);
  }
};
