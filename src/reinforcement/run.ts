import type { Backend } from '../tensor/backends/backend.ts';
import type { Ranks } from '../training/ranks.ts';

/** What stages that learn from their own responses need from their run. */
export interface ReinforcementRun {
  backend: Backend;
  seed: number;
  /** Folder that relative paths start from. */
  baseDirectory: string;
  /** Directories of models: `from` is the initial policy, `reward` the reward model if there is one. */
  inputs: Readonly<Record<string, readonly { directory: string }[]>>;
  ranks?: Ranks;
  log(message: string): void;
}
