import type { Command } from 'commander';
import type { ExecutorKind } from '../pipeline/executors/executor.ts';
import type { Stage } from '../stages/stage.ts';

/** What a command needs to know of the program it belongs to. */
export interface Program {
  stages: readonly Stage[];
  executors: readonly [ExecutorKind, ...ExecutorKind[]];
  /** Arguments as they were typed, for messages that say how to go on. */
  argv: readonly string[];
  /** Makes a command's action set the exit status. */
  action<A extends unknown[]>(run: (...args: A) => Promise<number>): (...args: A) => Promise<void>;
}

/** Registers a command, or commands of one kind, below another: name, arguments, flags, texts and action. */
export type AddCommand = (parent: Command, program: Program) => void;

/** Commands below a word that is no command itself, such as `mixtune bench train`. */
export function group(name: string, description: string, commands: readonly AddCommand[]): AddCommand {
  return (parent, program) => {
    const word = parent.command(name).description(description);
    for (const add of commands) add(word, program);
  };
}

/** How the program was called, as a shell takes it. */
export function typed({ argv }: Pick<Program, 'argv'>): string {
  return `mixtune ${argv.map(quoted).join(' ')}`;
}

function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
