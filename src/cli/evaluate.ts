import type { Command } from 'commander';
import { flagName, flagsOf } from '../config/flags.ts';
import { schemaKeys } from '../config/schema-keys.ts';
import { validate } from '../config/validate.ts';
import { RequestError } from '../errors.ts';
import { parseTasks } from '../evaluation/tasks.ts';
import { type EvaluateConfig, evaluateSchema, measure } from '../stages/evaluate.ts';
import { openBackend } from '../tensor/backends/open.ts';
import { addMachineOptions, type MachineFlags, machineOf, modelDirectory } from './model.ts';
import { jsonOption } from './options.ts';
import type { Program } from './program.ts';
import { print } from './run.ts';
import { table } from './table.ts';

type EvaluateFlags = MachineFlags & Partial<EvaluateConfig> & { json: boolean };

/** `evaluate` by itself: the stage's keys as flags, the model as an argument, the result on standard output. */
export function addEvaluateCommand(parent: Command, { action }: Program): void {
  const command = parent
    .command('evaluate')
    .summary('measure a model: perplexity, loss, multiple choice, exact answers, preferences')
    .description('Measure a model on held-out data and print what was found.')
    .argument('[model]', 'Hugging Face directory, or the folder of a finished run');
  for (const option of schemaKeys(evaluateSchema).flatMap(flagsOf)) command.addOption(option);
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string | undefined, flags: EvaluateFlags) => run(model, flags)));
}

async function run(model: string | undefined, flags: EvaluateFlags): Promise<number> {
  const { json, threads, backend: _, precision: __, ...written } = flags;
  const place = { where: (path: readonly (string | number)[]) => `--${flagName(String(path[0]))}` };
  const { value: config, problems } = validate(
    evaluateSchema,
    { ...(model ? { from: model } : {}), ...written },
    place,
  );
  if (!config) throw new RequestError(problems, 'mixtune evaluate');
  const tasks = parseTasks(config.tasks, config.text);
  const input = { name: config.from, directory: modelDirectory(config.from) };
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads });
  const log = (message: string) => void process.stderr.write(`${message}\n`);
  log(explanation);
  try {
    const run = { backend, baseDirectory: process.cwd(), log, seed: 1, directory: process.cwd(), inputs: {} };
    const { metrics, samples } = await measure(config, tasks, input, run);
    // One task has the metrics to itself, so they need no dataset before their names.
    const named = tasks.length === 1 ? withoutSource(metrics, tasks[0]!.source) : metrics;
    if (json) print({ ...named, ...(samples.length > 0 ? { samples } : {}) }, true);
    else
      print(
        table(
          ['metric', 'value'],
          Object.entries(named).map(([name, value]) => [name, String(value)]),
        ),
        false,
      );
  } finally {
    await backend.dispose();
  }
  return 0;
}

function withoutSource(metrics: Readonly<Record<string, number>>, source: string): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name.slice(source.length + 1), value]));
}
