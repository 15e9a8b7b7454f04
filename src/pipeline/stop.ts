import { constants } from 'node:os';

/** What asks a run to save and end: Ctrl-C, `kill`, a terminal that is closed, and Ctrl-\. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** What asks a run to save and go on. Node by itself would open its debugger on the first and end on the second. */
export const saveSignals = ['SIGUSR1', 'SIGUSR2'] as const;

export type StopSignal = (typeof stopSignals)[number];
export type StopReason = StopSignal | 'parent gone';

/** Wishes of whoever sends signals, seen by whoever works at its next safe place. */
export interface Stop {
  readonly reason: StopReason | undefined;
  /** The state is to be saved; whoever has done that says so by `false`. */
  isSaveWanted: boolean;
}

export function isStopSignal(signal: string | null): signal is StopSignal {
  return stopSignals.some((known) => known === signal);
}

/** Exit status of a command that a wish to stop ended, as shells have it. */
export function stopStatus(reason: string): number {
  return 128 + constants.signals[isStopSignal(reason) ? reason : 'SIGTERM'];
}

export interface StopListener {
  /** Hears of the first wish to stop. */
  stopping(reason: StopReason): void;
  /** Hears of a later signal, when the person will not wait. */
  again(reason: StopReason): void;
  saving?(signal: (typeof saveSignals)[number]): void;
}

/** npm and `timeout` send a signal twice, and a closed terminal does; a person takes longer. */
const doubledMilliseconds = 1000;

/**
 * Turns signals and, in a child process, the end of its parent into wishes. From here on nobody has to read what is
 * written to standard output and standard error either: a reader that goes away is no reason to end.
 */
export function listenForStop(listener: StopListener): Stop {
  const stop: { reason: StopReason | undefined; isSaveWanted: boolean } = { reason: undefined, isSaveWanted: false };
  let wishedAt = 0;
  const wish = (reason: StopReason) => {
    if (stop.reason) {
      const isDoubled = performance.now() - wishedAt < doubledMilliseconds;
      if (!isDoubled && reason !== 'SIGHUP' && reason !== 'parent gone') listener.again(reason);
      return;
    }
    wishedAt = performance.now();
    stop.reason = reason;
    listener.stopping(reason);
  };
  for (const signal of stopSignals) process.on(signal, () => wish(signal));
  for (const signal of saveSignals) {
    process.on(signal, () => {
      stop.isSaveWanted = true;
      listener.saving?.(signal);
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', () => undefined);
  }
  if (process.channel) {
    process.channel.unref();
    process.on('disconnect', () => wish('parent gone'));
  }
  return stop;
}
