import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isLocked, lockNode, requireUnlocked } from '../../src/runs/lock.ts';
import { ownIdentity, type ProcessIdentity } from '../../src/runs/process-identity.ts';
import { disk } from '../faulty-disk.ts';
import { until } from '../pipeline/command.ts';

vi.mock('node:fs', async (original) => (await import('../faulty-disk.ts')).faultySynchronous(await original()));

let folder: string;
let other: ChildProcess;

beforeEach(async () => {
  disk.refuse = () => undefined;
  folder = await mkdtemp(join(tmpdir(), 'mixtune-lock-'));
  other = spawn('sleep', ['600']);
  await once(other, 'spawn');
});

afterEach(async () => {
  disk.refuse = () => undefined;
  other.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

const file = () => join(folder, 'node.lock');
const leave = (identity: ProcessIdentity | string) =>
  writeFile(file(), typeof identity === 'string' ? identity : JSON.stringify(identity));

/** Of the process that runs beside the tests. */
async function identityOf(pid: number): Promise<ProcessIdentity> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return { ...ownIdentity(), pid, started: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]! };
}

it('is held by one process, and given back', async () => {
  const unlock = lockNode(folder);
  expect(JSON.parse(await readFile(file(), 'utf8'))).toEqual(ownIdentity());
  expect(isLocked(folder)).toBe(true);
  expect(() => lockNode(folder)).toThrow(`process ${process.pid} is running in it`);
  unlock();
  expect(await readdir(folder)).toEqual([]);
});

it('is not given back where another has it by now', async () => {
  const unlock = lockNode(folder);
  await leave('someone else');
  unlock();
  expect(existsSync(file())).toBe(true);
});

it.each(['', 'half of i', '4711', '{"pid":1}', '[]'])(
  'of a form that nobody wrote whole counts for nothing: %j',
  async (text) => {
    await leave(text);
    lockNode(folder)();
    expect(await readdir(folder)).toEqual([]);
  },
);

// Linux says when a process began and what it does.
describe.skipIf(process.platform !== 'linux')('the lock of another process', () => {
  const taken = () => lockNode(folder)();

  it('holds as long as that runs', async () => {
    await leave(await identityOf(other.pid!));
    expect(taken).toThrow(`process ${other.pid} is running in it`);
    expect(() => requireUnlocked(folder)).toThrow('wait until it has ended, or choose another folder with --out');
    other.kill('SIGKILL');
    await once(other, 'exit');
    taken();
    expect(await readdir(folder)).toEqual([]);
  });

  it('does not hold where its number belongs to another program now', async () => {
    await leave({ ...(await identityOf(other.pid!)), started: '1' });
    taken();
    // Of this very process, too: containers give the same numbers again and again.
    await leave({ ...ownIdentity(), started: '1' });
    taken();
  });

  it('does not hold for a zombie', async () => {
    const parent = spawn('sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 600'], { stdio: 'pipe' });
    const pid = Number((await once(parent.stdout, 'data'))[0]);
    await leave(await identityOf(pid));
    expect(taken).toThrow('is running in it');
    await until(async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z '));
    taken();
    parent.kill('SIGKILL');
  });

  it('does not hold from before the machine was started', async () => {
    await leave({ ...(await identityOf(other.pid!)), boot: 'another' });
    taken();
  });

  it('of another machine holds, however its numbers look, and the message says how to remove it', async () => {
    for (const pid of [4_194_305, other.pid!, process.pid]) {
      await leave({ ...ownIdentity(), host: 'elsewhere', boot: 'another', pid });
      expect(isLocked(folder)).toBe(true);
      expect(taken).toThrow(`process ${pid} on elsewhere is running in it or has died`);
      expect(taken).toThrow(`if it is no longer running, delete ${file()}`);
    }
  });

  it('of a container that was started again does not hold, that of a machine around the container does', async () => {
    await leave({ ...ownIdentity(), namespace: 'pid:[1]' });
    taken();
    const identity = { ...ownIdentity(), namespace: 'pid:[4026531836]' };
    await leave({ ...identity, pid: 4_194_305 });
    if (ownIdentity().namespace === identity.namespace) taken();
    else expect(taken).toThrow('cannot be seen from here');
  });
});

describe('of two that come at once', () => {
  const rival = () => JSON.stringify({ ...ownIdentity(), host: 'elsewhere' });
  const nodeFs = async () => vi.importActual<typeof import('node:fs')>('node:fs');

  it('one is refused where both found no lock', async () => {
    const { writeFileSync } = await nodeFs();
    disk.refuse = ({ name }) => {
      if (name === 'write') writeFileSync(file(), rival());
      return undefined;
    };
    expect(() => lockNode(folder)).toThrow('on elsewhere is running in it');
    expect(await readFile(file(), 'utf8')).toBe(rival());
  });

  it('one is refused where both found an abandoned lock', async () => {
    await leave({ ...ownIdentity(), boot: 'another' });
    const { writeFileSync } = await nodeFs();
    let renames = 0;
    disk.refuse = ({ name }) => {
      if (name === 'rename' && renames++ === 0) writeFileSync(file(), rival());
      return undefined;
    };
    expect(() => lockNode(folder)).toThrow('on elsewhere is running in it');
    expect(await readFile(file(), 'utf8')).toBe(rival());
    expect(await readdir(folder)).toEqual(['node.lock']);
  });
});
