import { Option } from 'commander';
import { type PresetName, presetConfig, presetNames } from '../../model/presets.ts';
import { ofRoofline } from '../../speed/operation-costs.ts';
import { operationSpeeds } from '../../speed/operation-speed.ts';
import { dispatchMicroseconds, measureRoofline } from '../../speed/roofline.ts';
import { openBackend } from '../../tensor/backends/open.ts';
import { limits, percent, requireChosen } from '../bench-model.ts';
import type { AddCommand } from '../command.ts';
import { addMachineOptions, type MachineFlags, machineOf } from '../model.ts';
import { jsonOption, wholeNumber } from '../options.ts';
import { print, tell } from '../output.ts';
import { table } from '../table.ts';

interface OpsFlags extends MachineFlags {
  preset: PresetName;
  batch: number;
  length: number;
  rounds: number;
  json: boolean;
}

export const addBenchOpsCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('ops')
    .summary('time each operation separately')
    .description('Time each operation of a layer and of the head separately, relative to what the machine can do.')
    .addOption(new Option('--preset <name>', 'model whose shapes are used').choices(presetNames).default('71m'))
    .option('--batch <number>', 'sequences', wholeNumber(1), 8)
    .option('--length <number>', 'tokens per sequence', wholeNumber(1), 256)
    .option('--rounds <number>', 'timed runs per operation; the fastest is reported', wholeNumber(1), 5);
  addMachineOptions(command)
    .addOption(jsonOption())
    .action(action((flags: OpsFlags) => run(flags)));
};

async function run({ preset, json, threads, ...flags }: OpsFlags): Promise<number> {
  await requireChosen(flags);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads });
  tell(explanation);
  try {
    const roofline = await measureRoofline(backend);
    const dispatch = await dispatchMicroseconds(backend);
    const speeds = await operationSpeeds(presetConfig(preset), backend, flags);
    const operations = speeds.map((speed) => ({ ...speed, ofRoofline: ofRoofline(speed, roofline) }));
    if (json) {
      const where = { preset, threads, backend: backend.name, precision: backend.precision };
      print({ operations, ...roofline, dispatchMicroseconds: dispatch, ...where }, true);
      return 0;
    }
    const rows = operations.map(({ operation, direction, seconds, flops, bytes, ofRoofline }) => [
      operation,
      direction,
      (seconds * 1000).toFixed(2),
      flops > 0 ? (flops / seconds / 1e9).toFixed(0) : '',
      (bytes / seconds / 1e9).toFixed(1),
      percent(ofRoofline ?? 0),
    ]);
    print(table(['operation', '', 'ms', 'GFLOP/s', 'GB/s', 'of the limit'], rows), false);
    print(limits(roofline), false);
    print(
      `enqueueing an operation takes ${dispatch.ask.toFixed(2)} µs, enqueueing and running an empty one ${dispatch.run.toFixed(2)} µs`,
      false,
    );
  } finally {
    await backend.dispose();
  }
  return 0;
}
