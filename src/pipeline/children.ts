import type { ChildProcess } from 'node:child_process';

/** The processes of nodes that are running. Each leads a group of its own, which no terminal sends its signals to. */
export type Children = ReadonlySet<ChildProcess>;

/** Sends a signal to each child, which passes it on to nobody. */
export function signalChildren(children: Children, signal: NodeJS.Signals): void {
  for (const child of children) child.kill(signal);
}

/** Sends a signal to each child and all that it has started. */
export function signalGroups(children: Children, signal: NodeJS.Signals): void {
  for (const { pid } of children) if (pid !== undefined) signalGroup(pid, signal);
}

/** Ctrl-Z suspends this process with all its children, and whatever wakes it wakes them too. */
export function suspendTogether(children: Children): void {
  process.on('SIGTSTP', () => {
    signalGroups(children, 'SIGSTOP');
    process.kill(process.pid, 'SIGSTOP');
  });
  process.on('SIGCONT', () => signalGroups(children, 'SIGCONT'));
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
