import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fileNames } from '../../src/runs/file-names.ts';
import { lockNode } from '../../src/runs/lock.ts';
import { readRecords } from '../../src/runs/records.ts';
import { type RunStatus, statusOf } from '../../src/runs/status.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-status-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(join(folder, name), text);
const step = '{"type":"step","step":1,"seconds":1}\n';
const ending = (type: string) => `${step}{"type":"${type}","step":1,"seconds":1}\n`;

it.each<[RunStatus, string, Readonly<Record<string, string>>, { isLocked: boolean }?]>([
  ['not run', 'an empty folder', {}],
  ['not run', 'a node that was prepared and never started', { 'node.json': '{}', 'log.txt': '' }],
  ['broken off', 'one whose process said something and no more', { 'log.txt': 'out of memory' }],
  ['broken off', 'one that ended in the middle', { 'metrics.jsonl': step }],
  ['broken off', 'one that ended between its last record and its manifest', { 'metrics.jsonl': ending('done') }],
  ['stopped', 'one that was stopped', { 'metrics.jsonl': ending('stopped') }],
  ['failed', 'one that failed', { 'metrics.jsonl': ending('failed') }],
  ['running', 'one that goes on after a failure', { 'metrics.jsonl': ending('failed') }, { isLocked: true }],
  ['finished', 'one with a manifest', { 'metrics.jsonl': ending('done'), 'manifest.json': '{}' }],
])('is `%s` for %s', async (status, _, files, { isLocked } = { isLocked: false }) => {
  for (const [name, text] of Object.entries(files)) await write(name, text);
  const unlock = isLocked ? lockNode(folder) : () => undefined;
  expect(statusOf(folder, await readRecords(join(folder, fileNames.records)))).toBe(status);
  unlock();
});
