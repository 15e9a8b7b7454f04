import { readModelDirectory } from '../checkpoint/model-directory.ts';
import { inputKinds, type Stage, type StageRun } from '../stages/stage.ts';

/** Tells what the directories of the models that a stage reads do not say, so that no stage has to remember to. */
export async function tellModelNotes(
  stage: Pick<Stage, 'inputs'>,
  run: Pick<StageRun, 'inputs' | 'log'>,
): Promise<void> {
  for (const [key, named] of Object.entries(run.inputs)) {
    if (!inputKinds[stage.inputs[key]!.kind].isModel) continue;
    for (const { name, directory } of named) {
      // What is wrong with a directory is said by the stage, which knows what it needs of it.
      const { notes } = await readModelDirectory(directory).catch(() => ({ notes: [] }));
      for (const note of notes) run.log(`${name}: ${note}`);
    }
  }
}
