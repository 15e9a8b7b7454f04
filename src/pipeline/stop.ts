import { constants } from 'node:os';

/** Signals that ask a run to save and end: Ctrl-C, `kill`, closing the terminal, and Ctrl-\. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * Signals that ask a run to save and continue. By default Node opens its debugger on the first and ends on the second.
 */
export const saveSignals = ['SIGUSR1', 'SIGUSR2'] as const;

export type StopSignal = (typeof stopSignals)[number];
export type StopReason = StopSignal | 'parent gone';

/** What signals have requested; the work checks it whenever it can safely stop or save. */
export interface Stop {
  readonly reason: StopReason | undefined;
  /** Whether the state is to be saved; reset to `false` after saving. */
  isSaveWanted: boolean;
}

export function isStopSignal(signal: string | null): signal is StopSignal {
  return stopSignals.some((known) => known === signal);
}

/** Exit status of a command that was stopped by a signal, by the convention of shells. */
export function stopStatus(reason: string): number {
  return 128 + constants.signals[isStopSignal(reason) ? reason : 'SIGTERM'];
}

export interface StopListener {
  /** Called on the first request to stop. */
  stopping(reason: StopReason): void;
  /** Called on a later signal, when the user does not want to wait. */
  again(reason: StopReason): void;
  saving?(signal: (typeof saveSignals)[number]): void;
}

/** npm, `timeout` and a closed terminal send a signal twice; a person takes longer than this. */
const doubledMilliseconds = 1000;

/**
 * Listens for signals and, in a child process, for the end of its parent. From here on, errors of standard output and
 * standard error are ignored too, because a reader that goes away is no reason to end.
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
