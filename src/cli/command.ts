import type { Command } from 'commander';
import type { ExecutorKind } from '../pipeline/executors/executor.ts';
import type { Stage } from '../stages/stage.ts';

/** What a command needs to know about the program that it belongs to. */
export interface Program {
  stages: readonly Stage[];
  executors: readonly [ExecutorKind, ...ExecutorKind[]];
  /** Arguments as typed, for messages that say how to continue. */
  argv: readonly string[];
  /** Makes a command's action set the exit status. */
  action<A extends unknown[]>(run: (...args: A) => Promise<number>): (...args: A) => Promise<void>;
}

/** Registers one or more subcommands of `parent`: name, arguments, flags, texts and action. */
export type AddCommand = (parent: Command, program: Program) => void;

/** Groups commands under a word that is not a command itself, such as `mixtune bench train`. */
export function group(name: string, description: string, commands: readonly AddCommand[]): AddCommand {
  return (parent, program) => {
    const word = parent.command(name).description(description);
    for (const add of commands) add(word, program);
  };
}

/** The command line of the program, quoted for a shell. */
export function typed({ argv }: Pick<Program, 'argv'>): string {
  return `mixtune ${argv.map(quoted).join(' ')}`;
}

function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
