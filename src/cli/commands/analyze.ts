import { Option } from 'commander';
import type { z } from 'zod';
import { analyze, type DepthAnalysis } from '../../analysis/analyze.ts';
import { profilesOf } from '../../analysis/index.ts';
import { sequencesOfIds, sequencesOfText } from '../../analysis/sequences.ts';
import { loadModel } from '../../checkpoint/load-model.ts';
import { readModelDirectory } from '../../checkpoint/model-directory.ts';
import { flagsOf } from '../../config/flags.ts';
import { schemaKeys } from '../../config/schema-keys.ts';
import { validate } from '../../config/validate.ts';
import type { Sequence } from '../../data/batch.ts';
import { RequestError } from '../../errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import { releaseModel } from '../../model/model.ts';
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
  json: boolean;
}

export const addAnalyzeCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('analyze')
    .summary(analyzeStage.summary)
    .description(
      'Show how a model uses its depth: for each layer the size and turn of the residual stream, the loss without the ' +
        'layer and of an exit after it, and the norm of its gradient.',
    )
    .argument('<model>', 'Hugging Face directory, or the folder of a finished run')
    .addOption(new Option('--text <source>', 'text to read: a file, a folder or a dataset').conflicts('ids'))
    .option('--ids <file>', 'JSON file with a list of rows of token ids, for which no tokenizer is needed');
  for (const option of schemaKeys(windowSchema).flatMap(flagsOf)) command.addOption(option.conflicts('ids'));
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((model: string, flags: AnalyzeFlags) => run(model, flags)));
};

async function run(path: string, flags: AnalyzeFlags): Promise<number> {
  const directory = await readableModel(path);
  const { config } = await readModelDirectory(directory);
  const sequences = await sequencesFor(directory, config, flags);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads: flags.threads });
  tell(explanation);
  try {
    const { model } = await loadModel(directory, backend);
    const found = await analyze(model, sequences);
    releaseModel(model);
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

/** How much of the text, as the flags say it. */
function windowsOf({ holdOut, window, windows }: AnalyzeFlags): z.infer<typeof windowSchema> {
  const { value, problems } = validate(windowSchema, { holdOut, window, windows }, { where: (path) => `--${path[0]}` });
  if (!value) throw new RequestError(problems);
  return value;
}

function describe(found: DepthAnalysis, config: ModelConfig): string {
  const { norm, layers } = config;
  const { all, finalNorm, head } = found.gradients;
  const columns = profilesOf({ ...found });
  const rows = Array.from({ length: layers + 1 }, (_, depth) => [
    depth === 0 ? 'embedding' : `${depth - 1} ${wiringOf(config, depth - 1).kind}`,
    ...columns.map(({ values }) => inFewDigits(values[depth])),
  ]);
  const rest = head === undefined ? '' : `, head ${inFewDigits(head)}`;
  return [
    `${norm.name}: ${describeNorm(norm, layers)}`,
    `loss ${found.loss.toFixed(4)} nats a token over ${found.tokens.toLocaleString('en')} tokens`,
    `gradient norm of all parameters ${inFewDigits(all)}, final norm ${inFewDigits(finalNorm)}${rest}`,
    '',
    table(['layer', ...columns.map(({ label }) => label)], rows),
    '',
    'layer: counted from 0, as in the names of tensors',
    ...columns.map(({ label, meaning }) => `${label}: ${meaning}`),
  ].join('\n');
}

const inFewDigits = (value: number | undefined): string => (value === undefined ? '' : value.toPrecision(4));
