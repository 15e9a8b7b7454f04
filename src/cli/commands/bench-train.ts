import { operationShares } from '../../speed/operation-costs.ts';
import { measureRoofline } from '../../speed/roofline.ts';
import { trainingSpeed } from '../../speed/training-speed.ts';
import { addBenchOptions, type BenchFlags, percent, profileTable, withBenchModel } from '../bench-model.ts';
import type { AddCommand } from '../command.ts';
import { wholeNumber } from '../options.ts';
import { print } from '../output.ts';

interface TrainFlags extends BenchFlags {
  batch: number;
  length: number;
  steps: number;
  recompute: boolean;
}

export const addBenchTrainCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('train')
    .summary('time training steps on random tokens')
    .description('Time training steps (forward, backward, AdamW) on random tokens and report the fastest.')
    .option('--batch <number>', 'sequences per step', wholeNumber(1), 8)
    .option('--length <number>', 'tokens per sequence', wholeNumber(1), 256)
    .option('--steps <number>', 'timed steps', wholeNumber(1), 5)
    .option('--recompute', 'recompute layers in the backward pass', false);
  addBenchOptions(command).action(action((model: string | undefined, flags: TrainFlags) => run(model, flags)));
};

async function run(path: string | undefined, flags: TrainFlags): Promise<number> {
  const { batch, length, recompute, threads, profile, json } = flags;
  await withBenchModel(path, flags, async (model, name) => {
    const { costs, ...speed } = await trainingSpeed(model, flags);
    const { backend } = model;
    const roofline = await measureRoofline(backend);
    const gemmShare = speed.gflops / roofline.gemmGflops;
    const shares = operationShares(costs, roofline);
    if (json) {
      const where = { threads, backend: backend.name, precision: backend.precision };
      print(
        {
          ...speed,
          ...roofline,
          gemmShare,
          model: name,
          batch,
          length,
          recompute,
          ...where,
          ...(profile ? { operations: shares } : {}),
        },
        true,
      );
      return;
    }
    const { tokensPerSecond, gflops, peakRssBytes } = speed;
    const rate = `${Math.round(tokensPerSecond).toLocaleString('en')} tokens/s`;
    const work = `${gflops.toFixed(0)} GFLOP/s (${percent(gemmShare)} of a product of ${roofline.gemmSize}³)`;
    print(`${name}, ${batch} × ${length}: ${rate}, ${work}, ${(peakRssBytes / 1e9).toFixed(2)} GB at most`, false);
    if (profile) print(profileTable(shares, roofline), false);
  });
  return 0;
}
