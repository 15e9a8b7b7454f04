import { type Command, Option } from 'commander';
import { loadModel } from '../checkpoint/load-model.ts';
import { RequestError } from '../errors.ts';
import { initialiseModel } from '../model/initialise.ts';
import { type Model, releaseModel } from '../model/model.ts';
import { withPlacement } from '../model/norm.ts';
import { placements } from '../model/placements/index.ts';
import { type PresetName, presetConfig, presetNames } from '../model/presets.ts';
import type { Machine } from '../runs/machine.ts';
import type { OperationShare } from '../speed/operation-costs.ts';
import type { Roofline } from '../speed/roofline.ts';
import { firstAvailable, openBackend } from '../tensor/backends/open.ts';
import { addMachineOptions, type MachineFlags, machineOf, readableModel } from './model.ts';
import { jsonOption } from './options.ts';
import { tell } from './output.ts';
import { table } from './table.ts';

export interface BenchFlags extends MachineFlags {
  preset?: PresetName;
  norm: string;
  profile: boolean;
  json: boolean;
}

/**
 * Adds the options that say what to measure: `[model]`, `--preset`, `--norm`, `--profile`, the machine and `--json`.
 */
export function addBenchOptions(command: Command): Command {
  command
    .argument('[model]', 'Hugging Face directory, or the folder of a finished run; without one, a preset')
    .addOption(new Option('--preset <name>', 'size of a fresh model (default: 71m)').choices(presetNames))
    .addOption(
      new Option('--norm <placement>', 'its norm placement').choices(placements.map(({ name }) => name)).default('pre'),
    )
    .option('--profile', 'print the time of each operation, relative to what the machine can do', false);
  return addMachineOptions(command).addOption(jsonOption());
}

/**
 * Calls `use` with the model of a directory, or with a fresh one of a preset, on the backend that the flags ask for,
 * and with a name for it. Releases both afterwards.
 * @throws RequestError if the model cannot be read or the flags do not fit together
 */
export async function withBenchModel<T>(
  path: string | undefined,
  flags: BenchFlags,
  use: (model: Model, name: string) => Promise<T>,
): Promise<T> {
  if (path !== undefined && flags.preset) {
    throw new RequestError({ message: `${path} and --preset ${flags.preset} were both given`, hint: 'leave one out' });
  }
  const directory = path === undefined ? undefined : await readableModel(path);
  const { preset = '71m', norm, profile, threads } = flags;
  await requireChosen(flags);
  const { backend, explanation } = await openBackend({ ...machineOf(flags), threads });
  try {
    if (profile && !backend.profile) {
      throw new RequestError({ where: '--profile', message: `the ${backend.name} backend does not count its work` });
    }
    tell(explanation);
    const model = directory
      ? (await loadModel(directory, backend)).model
      : await initialiseModel(withPlacement(presetConfig(preset), norm), backend, 1);
    try {
      return await use(model, path ?? preset);
    } finally {
      releaseModel(model);
    }
  } finally {
    await backend.dispose();
  }
}

/**
 * Plain TypeScript would take far too long for a benchmark, so it must be asked for explicitly.
 * @throws RequestError if `auto` would choose it
 */
export async function requireChosen({ backend = 'auto' }: Partial<Machine>): Promise<void> {
  if (backend !== 'auto') return;
  const { kind, why } = await firstAvailable();
  if (!kind.isInterpreted) return;
  const hint = `--backend ${kind.name} measures plain TypeScript; with a small model, such as --preset 1m`;
  throw new RequestError({ message: `there are no compiled kernels to measure: auto is ${kind.name}${why}`, hint });
}

/** A table of operations with their time and speed, relative to the roofline. */
export function profileTable(shares: readonly OperationShare[], roofline: Roofline): string {
  const rows = shares.map(({ operation, calls, seconds, share, flops, bytes, ofRoofline }) => [
    operation,
    String(calls),
    (seconds * 1000).toFixed(1),
    percent(share),
    flops > 0 ? (flops / seconds / 1e9).toFixed(0) : '',
    bytes > 0 ? (bytes / seconds / 1e9).toFixed(1) : '',
    ofRoofline === undefined ? '' : percent(ofRoofline),
  ]);
  return [table(['operation', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'of the limit'], rows), limits(roofline)].join(
    '\n',
  );
}

export function limits({ gemmGflops, gemmSize, gigabytesPerSecond }: Roofline): string {
  return `limits measured here: ${gemmGflops.toFixed(0)} GFLOP/s (product of ${gemmSize}³), ${gigabytesPerSecond.toFixed(1)} GB/s`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}
