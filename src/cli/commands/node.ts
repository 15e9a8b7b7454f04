import { dirname } from 'node:path';
import type { ChildMessage } from '../../pipeline/executors/local.ts';
import { runNode } from '../../pipeline/run-node.ts';
import { listenForStop, stopStatus } from '../../pipeline/stop.ts';
import { openLog } from '../../runs/log-file.ts';
import { readJob } from '../../runs/node-file.ts';
import type { AddCommand } from '../command.ts';
import { threadsOption } from '../options.ts';

/** `mixtune node JOB`: what a pipeline starts for each of its nodes; not for people. */
export const addNodeCommand: AddCommand = (parent, { stages, action }) => {
  parent
    .command('node', { hidden: true })
    .argument('<job>', 'node.json of the node')
    .addOption(threadsOption())
    .action(
      action(async (file: string, { threads }: { threads: number }) => {
        const report = (warning: string) => {
          const message: ChildMessage = { warning };
          // A parent that is gone is no reason to end.
          if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
        };
        const log = openLog(dirname(file), report, process.stderr.fd);
        const warn = (message: string) => {
          log(`warning: ${message}`);
          report(message);
        };
        const stop = listenForStop({
          stopping: (reason) => log(`${reason}: stopping after this step`),
          again: (reason) => process.exit(stopStatus(reason)),
        });
        const end = await runNode(await readJob(file), { stages, threads, stop, log, warn });
        return end.status === 'done' ? 0 : stopStatus(end.reason);
      }),
    );
};
