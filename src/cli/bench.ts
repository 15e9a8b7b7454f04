import { type Command, Option } from 'commander';
import { trainingSpeed } from '../evaluation/training-speed.ts';
import type { NormPlacement } from '../model/config.ts';
import { layerCount, type PresetName, presetConfig, presetNames, withPlacement } from '../model/presets.ts';
import { openBackend } from '../tensor/backends/open.ts';
import { addMachineOptions, type MachineFlags, machineOf } from './model.ts';
import { jsonOption, wholeNumber } from './options.ts';
import type { Program } from './program.ts';
import { print } from './run.ts';

interface TrainFlags extends MachineFlags {
  preset: PresetName;
  norm: NormPlacement;
  batch: number;
  length: number;
  steps: number;
  json: boolean;
}

export function addBenchCommand(parent: Command, { action }: Program): void {
  const bench = parent.command('bench').description('Measure how fast this machine is.');
  const train = bench
    .command('train')
    .description('Time pre-training steps of a preset on random tokens; the fastest step counts.')
    .addOption(new Option('--preset <name>', 'size of the model').choices(presetNames).default('71m'))
    .addOption(new Option('--norm <placement>', 'norm placement').choices(['pre', 'post', 'mix']).default('pre'))
    .option('--batch <number>', 'sequences in a step', wholeNumber(1), 8)
    .option('--length <number>', 'tokens in a sequence', wholeNumber(1), 256)
    .option('--steps <number>', 'timed steps', wholeNumber(1), 5);
  addMachineOptions(train)
    .addOption(jsonOption())
    .action(action((flags: TrainFlags) => benchTrain(flags)));
}

async function benchTrain({ preset, norm, json, threads, ...flags }: TrainFlags): Promise<number> {
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads });
  process.stderr.write(`${explanation}\n`);
  const base = presetConfig(preset);
  const config = withPlacement(base, norm, layerCount('25%', base.layers));
  try {
    const speed = await trainingSpeed(config, backend, flags);
    const { tokensPerSecond, gflops, peakRssBytes } = speed;
    const line = `${preset}: ${Math.round(tokensPerSecond).toLocaleString('en')} tokens/s, ${gflops.toFixed(0)} GFLOP/s, ${(peakRssBytes / 1e9).toFixed(2)} GB at most`;
    print(json ? { ...speed, preset, threads, backend: backend.name, precision: backend.precision } : line, json);
  } finally {
    await backend.dispose();
  }
  return 0;
}
