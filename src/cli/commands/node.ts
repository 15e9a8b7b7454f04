import { dirname } from 'node:path';
import type { ChildMessage } from '../../pipeline/executors/local.ts';
import { runNode } from '../../pipeline/run-node.ts';
import { listenForStop, stopStatus } from '../../pipeline/stop.ts';
import { openLog } from '../../runs/log-file.ts';
import { readJob } from '../../runs/node-file.ts';
import type { AddCommand } from '../command.ts';
import { threadsOption } from '../options.ts';

/** `mixtune node JOB`, which a pipeline runs for each of its nodes; not meant for users. */
export const addNodeCommand: AddCommand = (parent, { stages, action }) => {
  parent
    .command('node', { hidden: true })
    .argument('<job>', 'node.json of the node')
    .addOption(threadsOption())
    .action(
      action(async (file: string, { threads }: { threads: number }) => {
        const report = (warning: string) => {
          const message: ChildMessage = { warning };
          // The node goes on if its parent is gone.
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
