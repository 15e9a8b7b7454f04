import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { writeError } from '../checkpoint/write-error.ts';
import { pipelineFileNames } from '../runs/file-names.ts';
import { readPipelineFolder } from '../runs/pipeline-folder.ts';
import type { Drawing } from './html.ts';

/**
 * Writes `report/index.html` into a pipeline's folder from what its nodes have left there and returns the file's path.
 * The page needs nothing but itself; each of its charts also lies in `report/charts/`, as SVG and as CSV. Unfinished
 * nodes are shown as such; without a plan.json it is a RequestError.
 */
export async function writeReport(pipelineDirectory: string): Promise<string> {
  const folder = await readPipelineFolder(pipelineDirectory);
  // Drawing is half of what the program would load, and nothing else needs it.
  const { reportPage } = await import('./page.ts');
  const page = await reportPage(folder);
  const file = join(pipelineDirectory, pipelineFileNames.report);
  await mkdir(dirname(file), { recursive: true }).catch((error) => {
    throw writeError(error, file);
  });
  await writeFileAtomically(file, page.text);
  await writeDrawings(join(dirname(file), 'charts'), page.drawings);
  return file;
}

/** Replaces all drawings in the directory; of several with one name, the second ends in 2. */
async function writeDrawings(directory: string, drawings: readonly Drawing[]): Promise<void> {
  const files = new Map<string, string>();
  for (const { name, svg, csv } of drawings) {
    let unique = name;
    for (let count = 2; files.has(`${unique}.svg`); count++) unique = `${name}-${count}`;
    files.set(`${unique}.svg`, svg).set(`${unique}.csv`, csv);
  }
  try {
    await mkdir(directory, { recursive: true });
    const old = (await readdir(directory)).filter((file) => /\.(svg|csv)$/.test(file) && !files.has(file));
    await Promise.all(old.map((file) => rm(join(directory, file))));
    for (const [file, text] of files) await writeFile(join(directory, file), text);
  } catch (error) {
    throw writeError(error as Error, directory);
  }
}
