import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileNames } from './file-names.ts';
import { followRecords, type MetricsRecord } from './records.ts';

const pollMilliseconds = 200;

/** Passes on the records appended to a node's metrics.jsonl until `ended` settles, including the last. */
export async function follow(
  directory: string,
  ended: Promise<unknown>,
  listener: (record: MetricsRecord) => void,
): Promise<void> {
  const next = followRecords(join(directory, fileNames.records));
  let running = true;
  const end = ended
    .catch(() => undefined)
    .then(() => {
      running = false;
    });
  for (let last = false; !last; ) {
    await Promise.race([end, setTimeout(pollMilliseconds)]);
    last = !running;
    for (const record of await next()) listener(record);
  }
}
