import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { writeError } from '../checkpoint/write-error.ts';
import { pipelineFileNames } from '../runs/file-names.ts';
import { readPipelineFolder } from '../runs/pipeline-folder.ts';

/**
 * Writes `report/index.html` into a pipeline's folder from what its nodes have left there and returns the file's path.
 * The page needs nothing but itself. Unfinished nodes are shown as such; without a plan.json it is a RequestError.
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
  return file;
}
