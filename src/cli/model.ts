import type { Command } from 'commander';
import { loadModel } from '../checkpoint/load-model.ts';
import { type PlacementOptions, readModelDirectory } from '../checkpoint/model-directory.ts';
import { flagsOf } from '../config/flags.ts';
import { schemaKeys } from '../config/schema-keys.ts';
import { validate } from '../config/validate.ts';
import { RequestError } from '../errors.ts';
import { type Model, releaseModel } from '../model/model.ts';
import { userDirectory } from '../pipeline/user-directory.ts';
import { type Machine, machineSchema } from '../runs/machine.ts';
import { openBackend } from '../tensor/backends/open.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { threadsOption } from './options.ts';
import { tell } from './output.ts';

export interface MachineFlags extends Partial<Machine> {
  threads: number;
}

/** Adds `--backend`, `--precision` and `--threads`. */
export function addMachineOptions(command: Command): Command {
  for (const option of schemaKeys(machineSchema).flatMap(flagsOf)) command.addOption(option);
  return command.addOption(threadsOption());
}

/** The backend and precision that the flags ask for. @throws RequestError */
export function machineOf({ backend, precision }: Partial<Machine>): Machine {
  const written = { ...(backend ? { backend } : {}), ...(precision ? { precision } : {}) };
  const { value, problems } = validate(machineSchema, written, { where: (path) => `--${path[0]}` });
  if (!value) throw new RequestError(problems);
  return value;
}

/** The model directory of a path, which may be the folder of a finished run. @throws RequestError */
export function modelDirectory(path: string): string {
  const found = userDirectory(path, 'model', process.cwd());
  if (found.problem) throw new RequestError(found.problem);
  return found.directory;
}

/** Like `modelDirectory`, but also checks the files and prints notes about them. @throws RequestError */
export async function readableModel(path: string, placement: PlacementOptions = {}): Promise<string> {
  const directory = modelDirectory(path);
  const { notes } = await readModelDirectory(directory, placement);
  for (const note of notes) tell(note);
  return directory;
}

/** Calls `use` with a model and its tokenizer, on the backend that the flags ask for, and releases both afterwards. */
export async function withModel<T>(
  path: string,
  flags: MachineFlags,
  use: (model: Model, tokenizer: Tokenizer) => Promise<T>,
): Promise<T> {
  const directory = await readableModel(path);
  const tokenizer = await loadTokenizer(directory);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads: flags.threads });
  tell(explanation);
  try {
    const { model } = await loadModel(directory, backend);
    try {
      return await use(model, tokenizer);
    } finally {
      releaseModel(model);
    }
  } finally {
    await backend.dispose();
  }
}
