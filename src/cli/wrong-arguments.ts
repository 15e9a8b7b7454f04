import type { Command, CommanderError } from 'commander';
import { RequestError } from '../errors.ts';
import { commandHint, flagHint } from './foreign-names.ts';

/** Turns Commander's error about a command line into a RequestError, with a hint at what may have been meant. */
export function wrongArguments(
  { code, message }: CommanderError,
  program: Command,
  argv: readonly string[],
): RequestError {
  const { command, name } = commandOf(program, argv);
  const typed = /'(.*)'/s.exec(message)?.[1] ?? '';
  const hint =
    code === 'commander.unknownOption'
      ? flagHint(
          typed.replace(/=.*/s, ''),
          command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []),
        )
      : code === 'commander.unknownCommand'
        ? commandHint(
            typed,
            command.commands.map((known) => known.name()).filter((known) => known !== 'node'),
          )
        : undefined;
  return new RequestError({
    message: message.replace(/^error: /, ''),
    hint: hint ?? `${name} --help lists them`,
  });
}

/** The command named by the arguments, such as `mixtune runs list`. */
function commandOf(program: Command, argv: readonly string[]): { command: Command; name: string } {
  let command = program;
  let name = program.name();
  for (const argument of argv) {
    const next = command.commands.find((known) => known.name() === argument);
    if (!next) break;
    command = next;
    name += ` ${argument}`;
  }
  return { command, name };
}
