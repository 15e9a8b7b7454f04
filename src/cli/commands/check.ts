import { describeReading } from '../../data/dataset.ts';
import type { Reading } from '../../data/rows.ts';
import type { Contents } from '../../pipeline/contents.ts';
import type { Plan } from '../../pipeline/plan.ts';
import { selectNodes } from '../../pipeline/selection.ts';
import type { AddCommand } from '../command.ts';
import { jsonOption, scaleOption, setOption } from '../options.ts';
import { print } from '../output.ts';
import { planJson, planOf, planTable } from '../plan-view.ts';
import { table } from '../table.ts';

interface CheckFlags {
  set: string[];
  scale?: number;
  out?: string;
  json: boolean;
}

interface CheckedDataset {
  source: string;
  use: string;
  /** Number of rows, including held-out ones. */
  rows: number;
  reading: Reading;
}

export const addCheckCommand: AddCommand = (parent, { stages, action }) => {
  parent
    .command('check')
    .summary('check a pipeline and its data, and show the plan')
    .description('Check a pipeline, its config and its data, and show what would run. Nothing is written.')
    .argument('<pipeline>', 'name of a shipped pipeline, or a YAML file')
    .addOption(setOption())
    .addOption(scaleOption())
    .option('--out <folder>', 'folder of the results (default: checkpoints/<name of the pipeline>)')
    .addOption(jsonOption())
    .action(
      action(async (name: string, flags: CheckFlags) => {
        const { plan, contents } = await planOf(name, flags, stages);
        const statuses = await selectNodes(plan, {});
        const datasets = await datasetsOf(plan, contents);
        if (flags.json) print({ ...planJson(plan, statuses), datasets }, true);
        else print(`${planTable(plan, statuses)}\n\n${datasetTable(datasets)}`, false);
        return 0;
      }),
    );
};

/** The datasets that the plan reads, each once per use. */
async function datasetsOf({ nodes }: Plan, contents: Contents): Promise<CheckedDataset[]> {
  const found = new Map<string, CheckedDataset>();
  for (const { source, use } of nodes.flatMap(({ datasets }) => datasets)) {
    const checked = await contents.check(source, use);
    if ('rows' in checked) found.set(`${use} ${source}`, { source, use, ...checked });
  }
  return [...found.values()];
}

function datasetTable(datasets: readonly CheckedDataset[]): string {
  const rows = datasets.map(({ source, use, rows }) => [source, use, rows.toLocaleString('en')]);
  const readings = datasets.flatMap(({ source, reading }) => {
    const sentences = describeReading(reading);
    return sentences.length > 0 ? [`${source}: ${sentences.join('; ')}`] : [];
  });
  return [table(['data', 'read as', 'rows'], rows), ...new Set(readings)].join('\n');
}
