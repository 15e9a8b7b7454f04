import { generationSpeed } from '../../speed/generation-speed.ts';
import { operationShares } from '../../speed/operation-costs.ts';
import { measureRoofline } from '../../speed/roofline.ts';
import { addBenchOptions, type BenchFlags, profileTable, withBenchModel } from '../bench-model.ts';
import type { AddCommand } from '../command.ts';
import { wholeNumber } from '../options.ts';
import { print } from '../output.ts';

interface GenerateFlags extends BenchFlags {
  batch: number;
  promptTokens: number;
  newTokens: number;
  rounds: number;
}

export const addBenchGenerateCommand: AddCommand = (parent, { action }) => {
  const command = parent
    .command('generate')
    .summary('time generation from random prompts')
    .description('Time greedy generation from random prompts and report the fastest round.')
    .option('--batch <number>', 'sequences generated together', wholeNumber(1), 16)
    .option('--prompt-tokens <number>', 'tokens of each prompt', wholeNumber(1), 128)
    .option('--new-tokens <number>', 'tokens generated for each', wholeNumber(1), 64)
    .option('--rounds <number>', 'timed runs', wholeNumber(1), 3);
  addBenchOptions(command).action(action((model: string | undefined, flags: GenerateFlags) => run(model, flags)));
};

async function run(path: string | undefined, flags: GenerateFlags): Promise<number> {
  const { batch, promptTokens, newTokens, threads, profile, json } = flags;
  await withBenchModel(path, flags, async (model, name) => {
    const { costs, ...speed } = await generationSpeed(model, flags);
    const { backend } = model;
    const roofline = profile ? await measureRoofline(backend) : undefined;
    if (json) {
      const where = { threads, backend: backend.name, precision: backend.precision };
      const shape = { model: name, batch, promptTokens, newTokens };
      print(
        {
          ...speed,
          ...shape,
          ...where,
          ...(roofline && { ...roofline, operations: operationShares(costs, roofline) }),
        },
        true,
      );
      return;
    }
    const { tokensPerSecond, prefillTokensPerSecond, decodeTokensPerSecond, peakRssBytes } = speed;
    const rate = (tokens: number | undefined) => (tokens === undefined ? '–' : Math.round(tokens).toLocaleString('en'));
    print(
      `${name}, ${batch} × (${promptTokens} + ${newTokens}): ${rate(tokensPerSecond)} new tokens/s in all, ` +
        `prefill ${rate(prefillTokensPerSecond)}, decode ${rate(decodeTokensPerSecond)} tokens/s, ${(peakRssBytes / 1e9).toFixed(2)} GB at most`,
      false,
    );
    if (roofline) print(profileTable(operationShares(costs, roofline), roofline), false);
  });
  return 0;
}
