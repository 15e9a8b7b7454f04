import { keysTable, presetsTable } from '../config/documentation.ts';
import { schemaKeys } from '../config/schema-keys.ts';
import { machineSchema } from '../runs/machine.ts';
import type { Stage } from '../stages/stage.ts';
import { pipelineSchema, stageSchema } from './pipeline-file.ts';
import { sweepSchema } from './sweep.ts';

/** Every key that a pipeline and its stages can have, as a Markdown page. */
export function configReference(stages: readonly Stage[]): string {
  return `${[
    '# Keys of pipelines and stages',
    'Made from the schemas by `npm run docs`; do not edit. Each key of a stage is also a flag of its command: `batchSize` is `--batch-size`.',
    '## Pipeline',
    keysTable(schemaKeys(pipelineSchema)),
    'A stage has the keys of what it runs, and those of every stage:',
    '## Every stage',
    keysTable([...schemaKeys(stageSchema), ...schemaKeys(machineSchema)]),
    '## Sweep',
    'The stage is run with each combination of `values`, for each variant by itself, and then with the one that comes out best. `sweep: null` turns it off.',
    keysTable(schemaKeys(sweepSchema)),
    ...stages.flatMap(stageSection),
  ].join('\n\n')}\n`;
}

function stageSection({ name, summary, schema, presets, inputs, datasets }: Stage): string[] {
  const reads = [
    ...Object.entries(inputs).map(([key, { kind, many }]) => `\`${key}\` names ${many ? `${kind}s` : `a ${kind}`}`),
    ...Object.entries(datasets).map(
      ([key, { use }]) => `\`${key}\` names a dataset of ${typeof use === 'function' ? use({}) : use} rows`,
    ),
  ];
  return [
    `## ${name}`,
    `${summary}.${reads.length > 0 ? ` ${reads.join('; ')}.` : ''}`,
    keysTable(schemaKeys(schema)),
    ...Object.entries(presets ?? {}).map(([key, values]) => presetsTable(key, values)),
  ];
}
