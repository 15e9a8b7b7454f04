import { type FileInspection, inspectFile, inspectModel, type ModelInspection } from '../../checkpoint/inspect.ts';
import { statsOf } from '../../files.ts';
import { attentionOf } from '../../model/family.ts';
import { describeNorm, normKindOf, wiringOf } from '../../model/norm.ts';
import type { AddCommand } from '../command.ts';
import { modelDirectory } from '../model.ts';
import { jsonOption } from '../options.ts';
import { print } from '../output.ts';
import { table } from '../table.ts';

export const addInspectCommand: AddCommand = (parent, { action }) => {
  parent
    .command('inspect')
    .summary('show what is in a model directory or a file of weights')
    .description('Show the architecture, norm placement, parameters and tensors of a model, and check its files.')
    .argument('<path>', 'Hugging Face directory, folder of a finished run, or a .safetensors or .bin file')
    .addOption(jsonOption())
    .action(
      action(async (path: string, { json }: { json: boolean }) => {
        const isFile = statsOf(path)?.isFile() ?? false;
        const found = isFile ? await inspectFile(path) : await inspectModel(modelDirectory(path));
        print(json ? found : describe(found), json);
        return 0;
      }),
    );
};

function describe(found: FileInspection | ModelInspection): string {
  const tensors = found.tensors.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]);
  const lines = [`${found.parameters.toLocaleString('en')} parameters in ${tensors.length} tensors`];
  if ('config' in found) {
    const { config, modelType, architecture, notes } = found;
    const shape = `${config.layers} layers, hidden ${config.hiddenSize}, MLP ${config.intermediateSize}, ${config.heads} heads (${config.kvHeads} key-value), vocabulary ${config.vocabSize}`;
    const normsInside = attentionOf(config, 0).headNorms ?? wiringOf(config, 0).headNorms;
    lines.unshift(
      `${modelType} (${architecture ?? 'no architecture named'}): ${shape}`,
      `norm placement: ${config.norm.name} (${describeNorm(config.norm, config.layers)})`,
      `norms: ${normKindOf(config).title}${normsInside ? ', also of heads inside attention' : ''}`,
    );
    lines.push(...notes);
  }
  return [...lines, '', table(['tensor', 'type', 'shape'], tensors)].join('\n');
}
