import type { Command } from 'commander';
import { readJob } from '../pipeline/job.ts';
import { runNode } from '../pipeline/run-node.ts';
import { listenForStop, stopStatus } from '../pipeline/stop.ts';
import { threadsOption } from './options.ts';
import { tell } from './output.ts';
import type { Program } from './program.ts';

/** `mixtune node JOB`: what a pipeline starts for each of its nodes; not for people. */
export function addNodeCommand(parent: Command, { stages, action }: Program): void {
  parent
    .command('node', { hidden: true })
    .argument('<job>', 'node.json of the node')
    .addOption(threadsOption())
    .action(
      action(async (file: string, { threads }: { threads: number }) => {
        const log = (message: string) => void tell(`${new Date().toISOString()} ${message}`);
        const stop = listenForStop(
          (reason) => log(`${reason}: stopping after this step`),
          (reason) => process.exit(stopStatus(reason)),
        );
        const end = await runNode(await readJob(file), { stages, threads, stop, log });
        return end.status === 'done' ? 0 : stopStatus(end.reason);
      }),
    );
}
