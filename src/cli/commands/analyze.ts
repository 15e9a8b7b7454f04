import { Option } from 'commander';
import type { z } from 'zod';
import { analyze, type DepthAnalysis } from '../../analysis/analyze.ts';
import { profilesOf } from '../../analysis/index.ts';
import { sequencesOfIds, sequencesOfText } from '../../analysis/sequences.ts';
import { requireSameTensors } from '../../analysis/updates.ts';
import { loadModel } from '../../checkpoint/load-model.ts';
import { readModelDirectory } from '../../checkpoint/model-directory.ts';
import { flagsOf } from '../../config/flags.ts';
import { schemaKeys } from '../../config/schema-keys.ts';
import { validate } from '../../config/validate.ts';
import type { Sequence } from '../../data/batch.ts';
import { RequestError } from '../../errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import { describeNorm, wiringOf } from '../../model/norm.ts';
import { type AnalyzeConfig, analyzeStage, windowSchema } from '../../stages/analyze.ts';
import { openBackend } from '../../tensor/backends/open.ts';
import { loadTokenizer } from '../../tokenizer/open.ts';
import type { AddCommand } from '../command.ts';
import { addMachineOptions, type MachineFlags, machineOf, readableModel } from '../model.ts';
import { jsonOption } from '../options.ts';
import { print, tell } from '../output.ts';
import { table } from '../table.ts';

interface AnalyzeFlags extends MachineFlags, Partial<AnalyzeConfig> {
  ids?: string;
  base?: string;
  json: boolean;
}

export const addAnalyzeCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('analyze')
    .summary(analyzeStage.summary)
    .description(
      'Show how a model uses its depth: for each layer the size, turn, rank and outliers of the residual stream, how ' +
        'widely it attends, the loss without the layer, with it and the next exchanged and of an exit after it, and the ' +
        'norm of its gradient; and the loss with more and more layers taken out.',
    )
    .argument('<model>', 'Hugging Face directory, or the folder of a finished run')
    .addOption(new Option('--text <source>', 'text to read: a file, a folder or a dataset').conflicts('ids'))
    .option('--ids <file>', 'JSON file with a list of rows of token ids, for which no tokenizer is needed');
  command.option('--base <model>', 'model to compare the weights with, such as the one that this one was trained from');
  for (const option of schemaKeys(windowSchema).flatMap(flagsOf)) command.addOption(option.conflicts('ids'));
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string, flags: AnalyzeFlags) => run(model, flags)));
};

async function run(path: string, flags: AnalyzeFlags): Promise<number> {
  const directory = await readableModel(path);
  const { config } = await readModelDirectory(directory);
  const base = flags.base === undefined ? undefined : await readableModel(flags.base);
  if (base !== undefined) requireSameTensors(config, (await readModelDirectory(base)).config, flags.base!);
  const sequences = await sequencesFor(directory, config, flags);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads: flags.threads });
  tell(explanation);
  try {
    const { model } = await loadModel(directory, backend);
    const before = base === undefined ? undefined : (await loadModel(base, backend)).model;
    const found = await analyze(model, sequences, { base: before });
    print(flags.json ? found : describe(found, config), flags.json);
  } finally {
    await backend.dispose();
  }
  return 0;
}

async function sequencesFor(directory: string, config: ModelConfig, flags: AnalyzeFlags): Promise<Sequence[]> {
  const baseDirectory = process.cwd();
  if (flags.ids !== undefined) return sequencesOfIds(flags.ids, config, baseDirectory);
  if (flags.text !== undefined) {
    const tokenizer = await loadTokenizer(directory);
    return sequencesOfText(flags.text, tokenizer, config, { ...windowsOf(flags), baseDirectory, log: tell });
  }
  throw new RequestError({ message: 'give --text or --ids', hint: '--text town/text reads the built-in world' });
}

/** How much of the text to read, according to the flags. */
function windowsOf({ holdOut, window, windows }: AnalyzeFlags): z.infer<typeof windowSchema> {
  const { value, problems } = validate(windowSchema, { holdOut, window, windows }, { where: (path) => `--${path[0]}` });
  if (!value) throw new RequestError(problems);
  return value;
}

function describe(found: DepthAnalysis, config: ModelConfig): string {
  const { norm, layers } = config;
  const { all, finalNorm, head } = found.gradients;
  const columns = profilesOf({ ...found });
  const names = Array.from({ length: layers + 1 }, (_, depth) =>
    depth === 0 ? 'embedding' : `${depth - 1} ${wiringOf(config, depth - 1).kind}`,
  );
  const tables = inGroups(columns, columnsOfATable).map((group) =>
    table(
      ['layer', ...group.map(({ label }) => label)],
      names.map((name, depth) => [name, ...group.map(({ values }) => inFewDigits(values[depth]))]),
    ),
  );
  const rest = head === undefined ? '' : `, head ${inFewDigits(head)}`;
  return [
    `${norm.name}: ${describeNorm(norm, layers)}`,
    `loss ${found.loss.toFixed(4)} nats per token over ${found.tokens.toLocaleString('en')} tokens`,
    `gradient norm of all parameters ${inFewDigits(all)}, final norm ${inFewDigits(finalNorm)}${rest}`,
    ...tables.flatMap((text) => ['', text]),
    '',
    'layer: counted from 0, as in the names of tensors',
    ...columns.map(({ label, meaning }) => `${label}: ${meaning}`),
    '',
    describePruning(found.pruning),
  ].join('\n');
}

/** As many as fit a terminal. */
const columnsOfATable = 5;

function inGroups<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

function describePruning({ byAngle, byLoss }: DepthAnalysis['pruning']): string {
  const rows = byAngle.loss.map((loss, count) => [
    String(count),
    describeBlock(byAngle.first[count]!, count),
    inFewDigits(loss),
    count === 0 ? '' : `${byLoss.order[count - 1]}`,
    inFewDigits(byLoss.loss[count]),
  ]);
  return [
    'with layers taken out: the block that turns the stream least, or those that cost least alone',
    table(['out', 'block', 'loss', 'one more', 'loss'], rows),
  ].join('\n');
}

function describeBlock(first: number, count: number): string {
  return count < 2 ? [first].slice(0, count).join() : `${first} to ${first + count - 1}`;
}

const inFewDigits = (value: number | undefined): string => (value === undefined ? '' : value.toPrecision(4));
