import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

/** Identifies a process even after its number has been reused. Only on Linux is more known than host and number. */
export const identitySchema = z.strictObject({
  host: z.string(),
  pid: z.int().positive(),
  /** Id of the machine's current boot. */
  boot: z.string().optional(),
  /** The PID namespace that the number belongs to; each container has one. */
  namespace: z.string().optional(),
  /** When the process started, in clock ticks since boot. */
  started: z.string().optional(),
});

export type ProcessIdentity = z.infer<typeof identitySchema>;

/** The machine's initial PID namespace, whose number is a constant in the kernel's sources. */
const outermost = 'pid:[4026531836]';

export function ownIdentity(): ProcessIdentity {
  const known = {
    boot: attempted(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    namespace: attempted(() => readlinkSync('/proc/self/ns/pid')),
    started: statusOf('self')?.started,
  };
  const given = Object.entries(known).filter(([, value]) => value !== undefined);
  return { host: hostname(), pid: process.pid, ...Object.fromEntries(given) };
}

/** Whether a process is still running; `unknown` if it cannot be seen from here. */
export function whereabouts(other: ProcessIdentity): 'running' | 'gone' | 'unknown' {
  const own = ownIdentity();
  if (other.host !== own.host) return 'unknown';
  if (differ(other.boot, own.boot)) return 'gone';
  // A container with the same host name is the same one, restarted. What runs outside of it cannot be seen.
  if (differ(other.namespace, own.namespace)) return other.namespace === outermost ? 'unknown' : 'gone';
  // Without a start time, a lock with our own number was written by an earlier process that had it.
  if (!exists(other.pid) || (other.pid === own.pid && other.started === undefined)) return 'gone';
  const status = readlinkSafe('/proc/self') === String(process.pid) ? statusOf(other.pid) : undefined;
  const isZombie = status?.state === 'Z' || status?.state === 'X';
  return isZombie || differ(other.started, status?.started) ? 'gone' : 'running';
}

const differ = (a: string | undefined, b: string | undefined) => a !== undefined && b !== undefined && a !== b;

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** State and start time of a process, from `/proc/PID/stat`, whose second field may contain any characters. */
function statusOf(pid: number | 'self'): { state: string; started: string } | undefined {
  const text = attempted(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fields?.[0], fields?.[19]];
  return state !== undefined && started !== undefined ? { state, started } : undefined;
}

const readlinkSafe = (path: string) => attempted(() => readlinkSync(path));

function attempted<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
