import { writeFile } from 'node:fs/promises';
import { flagsOf } from '../../config/flags.ts';
import { schemaKeys } from '../../config/schema-keys.ts';
import type { Metrics } from '../../evaluation/metrics.ts';
import { subjectOf, type Task } from '../../evaluation/tasks.ts';
import { contentsBelow } from '../../pipeline/contents.ts';
import { tellModelNotes } from '../../pipeline/model-notes.ts';
import { makeSingleNode } from '../../pipeline/single-node.ts';
import { itemLines } from '../../runs/items.ts';
import { type EvaluateConfig, evaluateSchema, evaluateStage, measure, openTasks } from '../../stages/evaluate.ts';
import type { Stage, StageRun } from '../../stages/stage.ts';
import { openBackend } from '../../tensor/backends/open.ts';
import type { AddCommand } from '../command.ts';
import { addMachineOptions, type MachineFlags, machineOf } from '../model.ts';
import { jsonOption } from '../options.ts';
import { print, tell } from '../output.ts';
import { table } from '../table.ts';

type EvaluateFlags = MachineFlags & Partial<EvaluateConfig> & { json: boolean; items?: string };

/** The command `evaluate`: the stage's keys are flags, the model is an argument, the result goes to standard output. */
export const addEvaluateCommand: AddCommand = (parent, { stages, action }) => {
  const command = parent
    .command('evaluate')
    .summary('measure a model: perplexity, loss, multiple choice, exact match, preferences')
    .description('Measure a model on held-out data and print the results.')
    .argument('[model]', 'Hugging Face directory, or the folder of a finished run');
  for (const option of schemaKeys(evaluateSchema).flatMap(flagsOf)) command.addOption(option);
  addMachineOptions(command)
    .addOption(jsonOption())
    .option('--items <file>', 'write what each task found row by row, one JSON object per line')
    .action(action((model: string | undefined, flags: EvaluateFlags) => run(model, flags, stages)));
};

async function run(model: string | undefined, flags: EvaluateFlags, stages: readonly Stage[]): Promise<number> {
  const { json, items: itemsFile, threads, backend: _, precision: __, ...written } = flags;
  const { config, inputs } = await checked({ ...(model ? { from: model } : {}), ...written }, stages);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads });
  const log = tell;
  log(explanation);
  try {
    const run = { backend, baseDirectory: process.cwd(), log, seed: 1, directory: process.cwd(), inputs };
    await tellModelNotes(evaluateStage, config, run);
    const tasks = await openTasks(config, run);
    const measured = { input: inputs.from![0]!, opponent: inputs.against?.[0], judge: inputs.judge?.[0] };
    const { metrics, stderr = {}, items, samples } = await measure(config, tasks, measured, run);
    if (itemsFile !== undefined) await writeFile(itemsFile, itemLines(items));
    // The metrics of a single task need no dataset in their names.
    const named = (found: Metrics): Metrics => (tasks.length === 1 ? withoutSubject(found, tasks[0]!) : found);
    const errors = Object.keys(stderr).length > 0 && { stderr: named(stderr) };
    if (json) print({ ...named(metrics), ...errors, ...(samples.length > 0 ? { samples } : {}) }, true);
    else print(metricsTable(named(metrics), named(stderr)), false);
  } finally {
    await backend.dispose();
  }
  return 0;
}

/**
 * The config and the directories of the models.
 * @throws RequestError with all that is wrong with flags, model and data
 */
async function checked(
  written: Readonly<Record<string, unknown>>,
  stages: readonly Stage[],
): Promise<{ config: EvaluateConfig; inputs: StageRun['inputs'] }> {
  const single = {
    stages,
    directory: process.cwd(),
    baseDirectory: process.cwd(),
    contents: contentsBelow(process.cwd()),
  };
  const { job, config } = await makeSingleNode(evaluateStage, written, { ...single, seed: 1 });
  return { config: evaluateSchema.parse(config), inputs: job.inputs };
}

function metricsTable(metrics: Metrics, stderr: Metrics): string {
  const shown = (value: number | undefined): string =>
    value === undefined ? '' : String(Number(value.toPrecision(6)));
  return table(
    ['metric', 'value', 'standard error'],
    Object.entries(metrics).map(([name, value]) => [name, shown(value), shown(stderr[name])]),
  );
}

function withoutSubject(metrics: Metrics, task: Task): Metrics {
  const { length } = subjectOf(task);
  return Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name.slice(length + 1), value]));
}
