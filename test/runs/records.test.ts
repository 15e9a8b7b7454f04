import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openRecordLog } from '../../src/runs/record-log.ts';
import { followRecords, readRecords } from '../../src/runs/records.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-log-'));
  file = join(folder, 'metrics.jsonl');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const fail = (message: string) => {
  throw new Error(message);
};

it('numbers that are not finite are written as their names', async () => {
  openRecordLog(file, fail).append({ type: 'step', step: 1, loss: Number.NaN, kl: Number.NEGATIVE_INFINITY });
  expect(await readFile(file, 'utf8')).toBe('{"type":"step","step":1,"loss":"NaN","kl":"-Infinity"}\n');
});

it('a line that is no record is left out', async () => {
  const strange = [
    '{"type":["eval"],"step":1}',
    '{"type":"step","step":"1"}',
    '{"type":"step","step":-1}',
    'x',
    '[]',
    '{}',
  ];
  const others = [`{"type":"step","step":1,"x":${'['.repeat(1000)}${']'.repeat(1000)}}`, '{"type":"step","step":0.5}'];
  await writeFile(file, `${[...strange, ...others, '{"type":"step","step":7}'].join('\n')}\n`);
  expect(await readRecords(file)).toEqual([{ type: 'step', step: 7 }]);
});

it('a line that a crash cut short is no part of the next', async () => {
  await writeFile(file, '{"type":"step","step":1}\n{"type":"step","st');
  openRecordLog(file, fail).append({ type: 'failed', step: 1, seconds: 2, message: 'ended by SIGKILL' });
  expect((await readRecords(file)).map(({ type }) => type)).toEqual(['step', 'failed']);
});

describe('a log that is gone on with', () => {
  const types = ['start 0', 'step 1', 'eval 1', 'step 2', 'sample 2', 'eval 2', 'stopped 2', 'step 3'];
  const written = types.map((text) => {
    const [type, step] = text.split(' ');
    return JSON.stringify({ type, step: Number(step) });
  });
  const cut = async (place: { step: number; measured: boolean } | undefined) => {
    await writeFile(file, `${written.join('\n')}\n`);
    await openRecordLog(file, fail).cut(place);
    return (await readRecords(file)).map(({ type, step }) => `${type} ${step}`);
  };

  it('keeps what was done before, and neither ends nor what is measured again', async () => {
    const done = ['start 0', 'step 1', 'eval 1', 'step 2'];
    expect(await cut({ step: 2, measured: true })).toEqual([...done, 'sample 2', 'eval 2']);
    expect(await cut({ step: 2, measured: false })).toEqual(done);
    expect(await cut({ step: 1, measured: true })).toEqual(['start 0', 'step 1', 'eval 1']);
    expect(await cut(undefined)).toEqual([]);
  });
});

describe('a log that another process writes', () => {
  it('is followed line by line, also where a line comes in two parts', async () => {
    const next = followRecords(file);
    expect(await next()).toEqual([]);
    await appendFile(file, '{"type":"step","step":1}\n{"type":"st');
    expect(await next()).toEqual([{ type: 'step', step: 1 }]);
    await appendFile(file, 'ep","step":2}\n');
    expect(await next()).toEqual([{ type: 'step', step: 2 }]);
    expect(await next()).toEqual([]);
  });

  it('is followed from its beginning where it was cut', async () => {
    const next = followRecords(file);
    await writeFile(file, '{"type":"step","step":1}\n{"type":"step","step":2}\n');
    expect(await next()).toHaveLength(2);
    await writeFile(file, '{"type":"step","step":1}\n');
    expect(await next()).toEqual([{ type: 'step', step: 1 }]);
  });
});
