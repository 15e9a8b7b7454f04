import { statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import type { Command } from 'commander';
import { nativeAvailability } from '../tensor/backends/native-build.ts';
import { tensorflowAvailability } from '../tensor/backends/tensorflow-library.ts';
import { jsonOption } from './options.ts';
import { print } from './output.ts';
import type { Program } from './program.ts';

export function addDoctorCommand(parent: Command, { action }: Program): void {
  parent
    .command('doctor')
    .summary('show what this machine offers, and what each backend would use of it')
    .description('Show the machine, its compiler and instruction set, and what each backend would use of it.')
    .addOption(jsonOption())
    .action(
      action(async ({ json }: { json: boolean }) => {
        const found = await examine();
        print(json ? found : describe(found), json);
        return 0;
      }),
    );
}

/** What the machine is and has. Sizes in bytes. */
export async function examine() {
  const { bavail, bsize } = statfsSync('.');
  const native = await nativeAvailability();
  const tensorflow = await tensorflowAvailability();
  const native16 = native.instructionSet?.includes('bfloat16') ?? false;
  return {
    system: `${platform()} ${release()}`,
    node: process.version,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: { total: totalmem(), free: freemem() },
    freeDisk: bavail * bsize,
    backends: {
      native: { ...native, precision: native.available ? (native16 ? 'bf16' : 'f32') : undefined },
      portable: { available: true, precision: 'f32', note: 'plain TypeScript, about 200 times slower' },
      tensorflow: { ...tensorflow, precision: tensorflow.available ? 'f32' : undefined },
    },
    auto: native.available ? 'native' : 'portable',
    why: native.available ? 'there is a C++ compiler' : 'there is no native engine',
  };
}

function describe(found: Awaited<ReturnType<typeof examine>>): string {
  const { native, tensorflow } = found.backends;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  return [
    `system      ${found.system}, Node ${found.node}`,
    `processor   ${found.processor}, ${found.cores} cores`,
    `memory      ${gigabytes(found.memory.total)}, ${gigabytes(found.memory.free)} free`,
    `disk        ${gigabytes(found.freeDisk)} free here`,
    native.available
      ? `native      ready: ${native.instructionSet}, products in ${native.precision}, built by ${native.compiler}`
      : `native      not available: ${native.reason}`,
    native.available ? '' : '            → hint: install g++ or clang++; without it training is about 200 times slower',
    'portable    ready: plain TypeScript, about 200 times slower than native',
    tensorflow.available
      ? `tensorflow  ready: ${tensorflow.version} on the ${tensorflow.device}, products in f32`
      : `tensorflow  not available: ${tensorflow.reason}`,
    tensorflow.available ? '' : '            → hint: npm run backend:tensorflow',
    `            --backend auto takes ${found.auto}, because ${found.why}`,
  ]
    .filter(Boolean)
    .join('\n');
}
