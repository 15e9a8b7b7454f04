import { statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { backends } from '../../tensor/backends/index.ts';
import type { AddCommand } from '../command.ts';
import { jsonOption } from '../options.ts';
import { print } from '../output.ts';

export const addDoctorCommand: AddCommand = (parent, { action }) => {
  parent
    .command('doctor')
    .summary('show this machine and which backends can use it')
    .description('Show the machine, its compiler and instruction set, and what each backend would use.')
    .addOption(jsonOption())
    .action(
      action(async ({ json }: { json: boolean }) => {
        const found = await examine();
        print(json ? found : describe(found), json);
        return 0;
      }),
    );
};

/** Facts about the machine; sizes in bytes. */
async function examine() {
  const { bavail, bsize } = statfsSync('.');
  const found = [];
  for (const kind of backends) found.push({ kind, availability: await kind.available() });
  return {
    system: `${platform()} ${release()}`,
    node: process.version,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: { total: totalmem(), free: freemem() },
    freeDisk: bavail * bsize,
    backends: Object.fromEntries(
      found.map(({ kind: { name, hint }, availability: { facts, ...availability } }) => [
        name,
        { ...facts, ...availability, ...(availability.available ? {} : { hint }) },
      ]),
    ),
    auto: found.find(({ availability }) => availability.available)?.kind.name,
  };
}

function describe(found: Awaited<ReturnType<typeof examine>>): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const width = Math.max(...Object.keys(found.backends).map((name) => name.length), 'processor'.length) + 2;
  const row = (name: string, text: string) => `${name.padEnd(width)}${text}`;
  const ofBackend = ([name, backend]: [string, (typeof found.backends)[string]]) =>
    backend.available
      ? [row(name, `ready: ${backend.summary}`)]
      : [row(name, `not available: ${backend.reason}`), ...(backend.hint ? [row('', `→ hint: ${backend.hint}`)] : [])];
  return [
    row('system', `${found.system}, Node ${found.node}`),
    row('processor', `${found.processor}, ${found.cores} cores`),
    row('memory', `${gigabytes(found.memory.total)}, ${gigabytes(found.memory.free)} free`),
    row('disk', `${gigabytes(found.freeDisk)} free here`),
    ...Object.entries(found.backends).flatMap(ofBackend),
    row('', `--backend auto chooses ${found.auto}, the first of these that is available`),
  ].join('\n');
}
