import { join } from 'node:path';
import { fileNames } from '../../runs/file-names.ts';
import { openLog } from '../../runs/log-file.ts';
import { readJob } from '../../runs/node-file.ts';
import { stages } from '../../stages/index.ts';
import { runNode } from '../run-node.ts';
import type { ExecutorKind } from './executor.ts';
import { followNode } from './follow-node.ts';

/** Runs nodes in this process, one after another. */
export const toyExecutor: ExecutorKind = {
  name: 'toy',
  open: ({ threads }) => ({
    limit: 1,
    start(node, hears) {
      const { directory } = node.job;
      const warn = (message: string) => hears.warned(node, message);
      const log = openLog(directory, warn);
      const stop = { reason: undefined, isSaveWanted: false };
      const gone = readJob(join(directory, fileNames.job))
        .then((job) => runNode(job, { stages, threads, stop, warn, log }))
        .then(({ status }) => ({ message: status }));
      return { outcome: followNode(node, hears, gone), stop() {}, save() {}, kill() {} };
    },
  }),
};
