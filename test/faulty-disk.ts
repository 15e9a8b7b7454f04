import type * as synchronous from 'node:fs';
import { readlinkSync } from 'node:fs';
import type * as promises from 'node:fs/promises';

/** One change to the disk: what, and to which path. */
export interface Operation {
  name: string;
  path: string;
}

/** What was done to the disk, in order, and what the disk refuses. */
export const disk: {
  operations: Operation[];
  /** Code of the error with which an operation fails, such as ENOSPC. */
  refuse: (operation: Operation, index: number) => string | undefined;
} = { operations: [], refuse: () => undefined };

function attempt(name: string, path: string): void {
  const operation = { name, path };
  const code = disk.refuse(operation, disk.operations.push(operation) - 1);
  if (code) throw Object.assign(new Error(`${code}: refused, ${name} '${path}'`), { code, syscall: name, path });
}

const pathOf = (descriptor: number) => readlinkSync(`/proc/self/fd/${descriptor}`);

/** `node:fs/promises` of a disk that notes and refuses; for `vi.mock`. */
export function faultyPromises(real: typeof promises): typeof promises {
  return {
    ...real,
    async open(path, flags, mode) {
      if (flags && flags !== 'r') attempt('open', String(path));
      const handle = await real.open(path, flags, mode);
      for (const name of ['write', 'writeFile', 'sync'] as const) {
        const method = handle[name].bind(handle) as (...parts: unknown[]) => Promise<unknown>;
        const noted = async (...parts: unknown[]) => {
          attempt(name === 'sync' ? 'sync' : 'write', String(path));
          return method(...parts);
        };
        Object.assign(handle, { [name]: noted });
      }
      return handle;
    },
    async rename(from, to) {
      attempt('rename', `${from} → ${to}`);
      await real.rename(from, to);
    },
    async rm(path, options) {
      attempt('rm', String(path));
      await real.rm(path, options);
    },
    mkdir: (async (path: string, options?: synchronous.MakeDirectoryOptions) => {
      attempt('mkdir', path);
      return real.mkdir(path, options);
    }) as typeof real.mkdir,
    async writeFile(path, data, options) {
      attempt('write', String(path));
      await real.writeFile(path, data, options);
    },
  };
}

/** `node:fs` of the same disk. */
export function faultySynchronous(real: typeof synchronous): typeof synchronous {
  return {
    ...real,
    openSync(path, flags, mode) {
      if (flags !== 'r') attempt('open', String(path));
      return real.openSync(path, flags, mode);
    },
    appendFileSync(path, data, options) {
      attempt('append', typeof path === 'number' ? pathOf(path) : String(path));
      real.appendFileSync(path, data, options);
    },
    writeFileSync(path, data, options) {
      attempt('write', String(path));
      real.writeFileSync(path, data, options);
    },
    renameSync(from, to) {
      attempt('rename', `${from} → ${to}`);
      real.renameSync(from, to);
    },
    truncateSync(path, length) {
      attempt('truncate', String(path));
      real.truncateSync(path, length);
    },
    rmSync(path, options) {
      attempt('rm', String(path));
      real.rmSync(path, options);
    },
  };
}
