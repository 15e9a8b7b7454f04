import { join } from 'node:path';
import type { ExecutorKind } from '../../src/pipeline/executors/executor.ts';
import { followNode } from '../../src/pipeline/executors/follow-node.ts';
import { runNode } from '../../src/pipeline/run-node.ts';
import type { Stop } from '../../src/pipeline/stop.ts';
import { fileNames } from '../../src/runs/file-names.ts';
import { openLog } from '../../src/runs/log-file.ts';
import { readJob } from '../../src/runs/node-file.ts';
import type { Stage } from '../../src/stages/stage.ts';

/** All that a new executor is: one object. It runs nodes in this process, and knows of them what their folders say. */
export const inProcess = (stages: readonly Stage[]): ExecutorKind => ({
  name: 'here',
  open: ({ jobs, threads }) => ({
    limit: jobs,
    start(node, hears) {
      const { directory } = node.job;
      const stop: { -readonly [K in keyof Stop]: Stop[K] } = { reason: undefined, isSaveWanted: false };
      const warn = (message: string) => hears.warned(node, message);
      const run = async () =>
        runNode(await readJob(join(directory, fileNames.job)), {
          ...{ stages, threads, stop, warn, log: openLog(directory, warn) },
        });
      const gone = run().then(
        ({ status }) => ({ message: status }),
        ({ message }: Error) => ({ message }),
      );
      return {
        outcome: followNode(node, hears, gone),
        stop: (reason) => {
          stop.reason = reason;
        },
        save: () => {
          stop.isSaveWanted = true;
        },
        kill: () => undefined,
      };
    },
  }),
});
