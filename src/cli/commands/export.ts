import { existsSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { Option } from 'commander';
import { writeDirectoryAtomically } from '../../checkpoint/atomic.ts';
import { RequestError } from '../../errors.ts';
import { requireWritable } from '../../pipeline/node-folder.ts';
import { overlapProblem } from '../../pipeline/output-check.ts';
import { type ExportConfig, exportSchema, exportStage } from '../../stages/export.ts';
import type { AddCommand } from '../command.ts';
import { readableModel } from '../model.ts';
import { jsonOption } from '../options.ts';
import { print } from '../output.ts';

interface ExportFlags extends Pick<ExportConfig, 'dtype' | 'norm'> {
  out: string;
  json: boolean;
}

/** The command `export`, whose model directory is exactly `--out`. */
export const addExportCommand: AddCommand = (parent, { action }) => {
  const { dtype, norm } = exportSchema.shape;
  parent
    .command('export')
    .summary(exportStage.summary)
    .description('Write a model as a Hugging Face directory in f32, bf16 or f16.')
    .argument('<model>', 'Hugging Face directory, or the folder of a finished run')
    .requiredOption('--out <folder>', 'directory to write; it must not exist yet')
    .addOption(new Option('--dtype <type>', dtype.description).choices(dtype.unwrap().options).default('bf16'))
    .addOption(new Option('--norm <placement>', norm.description).choices(norm.unwrap().options))
    .addOption(jsonOption())
    .action(
      action(async (model: string, { out, dtype, norm, json }: ExportFlags) => {
        const source = await readableModel(model, { norm, certain: true });
        const directory = resolve(out);
        if (existsSync(directory) && readdirSync(directory).length > 0) {
          throw new RequestError({ where: '--out', message: `${out} exists and is not empty`, hint: 'choose another' });
        }
        const problem = overlapProblem(directory, { key: 'model', path: source });
        if (problem) throw new RequestError(problem, 'mixtune export');
        await requireWritable(directory);
        await writeDirectoryAtomically(directory, (temporary) =>
          exportStage.finish({ from: model, dtype, norm }, { source }, temporary),
        );
        print(json ? { directory, dtype } : directory, json);
        return 0;
      }),
    );
};
