import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileNames } from '../../runs/file-names.ts';
import { follow } from '../../runs/follow.ts';
import { lastWords } from '../../runs/log-file.ts';
import { numbersOf } from '../../runs/numbers.ts';
import { openRecordLog } from '../../runs/record-log.ts';
import { type Ending, endingOf, heldOutOf, type MetricsRecord, readRecords } from '../../runs/records.ts';
import { statusOf } from '../../runs/status.ts';
import type { PlanNode } from '../plan.ts';
import { type StopReason, stopStatus } from '../stop.ts';
import type { ExecutionListener, NodeOutcome } from './executor.ts';

/** What an executor knows about a node whose process has ended; used if the node itself did not record how it ended. */
export interface Departure {
  /** Such as `exit status 1` or `ended by SIGKILL`. */
  message: string;
  /** What stopped it, if it was stopped. */
  stopped?: StopReason | undefined;
  /** Whether it rejected its request and did nothing. */
  refused?: boolean;
}

/** The number of lines of a node's log to show if it failed. */
const shownLines = 30;

/**
 * Passes on what a node writes into its folder until it is `gone`, and then reads from there how it ended. If the node
 * did not record its end, it is written into metrics.jsonl, where everyone reads it.
 */
export async function followNode(
  node: PlanNode,
  hears: ExecutionListener,
  gone: Promise<Departure>,
): Promise<NodeOutcome> {
  const { id, directory } = node.job;
  const logStart = statSync(join(directory, fileNames.log), { throwIfNoEntry: false })?.size ?? 0;
  await follow(directory, gone, (record) => hears.record(node, record));
  const departure = await gone;
  const records = await readRecords(join(directory, fileNames.records));
  const ending = endOf(node, records, departure, hears);
  const last = numbersOf(records.findLast(({ type }) => type === 'step') ?? {});
  const { step, seconds } = ending.type === 'failed' ? last : ending;
  const outcome = { id, status: ending.type, exitCode: exitCodeOf(ending), seconds, step, loss: last.loss };
  const heldOut = heldOutOf(records);
  const error = [departure.message, await lastWords(directory, shownLines, logStart)].join('\n');
  return {
    ...outcome,
    ...(heldOut ? { heldOut } : {}),
    ...(ending.type === 'failed' ? { error } : {}),
    ...(ending.type === 'failed' && ending.diverged ? { divergence: ending.message } : {}),
  };
}

function endOf(
  node: PlanNode,
  records: readonly MetricsRecord[],
  { message, stopped, refused }: Departure,
  hears: ExecutionListener,
): Ending {
  const { directory } = node.job;
  const { step = 0, seconds = 0 } = numbersOf(records.at(-1) ?? {});
  const status = statusOf(directory, records);
  if (status === 'finished') return { type: 'done', step, seconds };
  const written = endingOf(records);
  if (written && written.type === status) return written;
  const ending: Ending =
    stopped === undefined
      ? { type: 'failed', step, seconds, message, ...(refused ? { refused } : {}) }
      : { type: 'stopped', step, seconds, reason: stopped };
  // If another process is working in the folder, the log is not this node's.
  if (status !== 'running') {
    openRecordLog(join(directory, fileNames.records), (warning) => hears.warned(node, warning)).append(ending);
  }
  return ending;
}

function exitCodeOf(ending: Ending): number {
  if (ending.type === 'done') return 0;
  return ending.type === 'stopped' ? stopStatus(ending.reason) : ending.refused ? 2 : 1;
}
