import type { Command } from 'commander';
import { selectNodes } from '../pipeline/selection.ts';
import { jsonOption } from './options.ts';
import type { Program } from './program.ts';
import { collect, planJson, planOf, planTable, print } from './run.ts';

interface CheckFlags {
  set: string[];
  out?: string;
  json: boolean;
}

export function addCheckCommand(parent: Command, { stages, action }: Program): void {
  parent
    .command('check')
    .summary('check a pipeline and its data, and show the plan')
    .description('Check a pipeline, its config and its data as a whole and show what would run. Nothing is written.')
    .argument('<pipeline>', 'name of a recipe, or a YAML file')
    .option('--set <path=value...>', 'give a parameter or any key a value', collect, [])
    .option('--out <folder>', 'folder of the results (default: checkpoints/<name of the pipeline>)')
    .addOption(jsonOption())
    .action(
      action(async (name: string, flags: CheckFlags) => {
        const { plan } = await planOf(name, flags, stages);
        const statuses = await selectNodes(plan, {});
        print(flags.json ? planJson(plan, statuses) : planTable(plan, statuses), flags.json);
        return 0;
      }),
    );
}
