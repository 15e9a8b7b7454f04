import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { manifestFile, writeManifest } from '../checkpoint/manifest.ts';
import { fileNames } from './file-names.ts';
import type { NodeProgress } from './progress.ts';

/** Writes manifest.json for the result, last of all: its presence marks the run as finished. @throws WriteError */
export function sealRun(directory: string, details: { key: string; best?: NodeProgress['best'] }): Promise<void> {
  return writeManifest(directory, details, [fileNames.final]);
}

/** Whether the run has finished; `verifyManifest` checks whether its result is still intact. */
export function isSealed(directory: string): boolean {
  return existsSync(join(directory, manifestFile));
}
