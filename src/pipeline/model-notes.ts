import { readModelDirectory } from '../checkpoint/model-directory.ts';
import { inputKinds, type Stage, type StageRun, saidPlacement } from '../stages/stage.ts';

/** Logs what had to be guessed about the models that a stage reads, so that no stage has to do so itself. */
export async function tellModelNotes(
  stage: Pick<Stage, 'inputs'>,
  config: unknown,
  run: Pick<StageRun, 'inputs' | 'log'>,
): Promise<void> {
  for (const [key, named] of Object.entries(run.inputs)) {
    const input = stage.inputs[key]!;
    if (!inputKinds[input.kind].isModel) continue;
    for (const { name, directory } of named) {
      // Problems with a directory are reported by the stage, which knows what it needs from it.
      const reading = readModelDirectory(directory, { norm: saidPlacement(input, config) });
      const { notes } = await reading.catch(() => ({ notes: [] }));
      for (const note of notes) run.log(`${name}: ${note}`);
    }
  }
}
