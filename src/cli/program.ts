import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { withKebabFlags } from '../config/flags.ts';
import { packageFile } from '../files.ts';
import { executors as shippedExecutors } from '../pipeline/executors/index.ts';
import type { Stage } from '../stages/stage.ts';
import { visible } from '../visible.ts';
import type { Program } from './command.ts';
import { commands } from './commands/index.ts';
import { failInFlags, reportFailure } from './failure.ts';
import { wrongArguments } from './wrong-arguments.ts';

/** Whether an error only means that `mixtune` was called without a command, for which commander prints the help. */
const isAskedForHelp = ({ code }: CommanderError): boolean => code === 'commander.help';

/** Runs a command line of `mixtune` with the given stages and executors, and returns its exit status. */
export async function runCommandLine(
  argv: readonly string[],
  stages: readonly Stage[],
  executors: Program['executors'] = shippedExecutors,
): Promise<number> {
  listenToOutput();
  let status = 0;
  const program: Program = {
    stages,
    executors,
    argv,
    action:
      (run) =>
      async (...args) => {
        // Commander passes the command as the last argument.
        status = await run(...args).catch(failInFlags(args.at(-1) as Command));
      },
  };
  const command = new Command('mixtune')
    .description('Pre-train, fine-tune and align Llama-style language models')
    .version(packageVersion())
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({ writeErr: (text) => process.stderr.write(visible(text)), outputError: () => undefined });
  for (const add of commands) add(command, program);
  try {
    await command.parseAsync(withKebabFlags(argv), { from: 'user' });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error);
    if (error.exitCode === 0) return 0;
    return isAskedForHelp(error) ? 2 : reportFailure(wrongArguments(error, command, argv));
  }
}

/** Adds the listeners only once, however many command lines the process runs. */
function listenToOutput(): void {
  process.stdout.off('error', endAsUnread).on('error', endAsUnread);
  process.stderr.off('error', goOnUnread).on('error', goOnUnread);
}

/** The reader of standard output, such as `head`, may close it early. */
const endAsUnread = ({ code }: NodeJS.ErrnoException): never => process.exit(code === 'EPIPE' ? 0 : 1);

/** Standard error may have no reader, which does not end the process. */
const goOnUnread = (): void => undefined;

function packageVersion(): string {
  const text = readFileSync(packageFile('package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
