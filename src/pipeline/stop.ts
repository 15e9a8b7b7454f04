export type StopReason = 'SIGINT' | 'SIGTERM' | 'parent gone';

/** A wish to stop, seen by whoever works at its next safe place. */
export interface Stop {
  readonly reason: StopReason | undefined;
}

/** Exit status of a command that a wish to stop ended. */
export function stopStatus(reason: StopReason): number {
  return reason === 'SIGINT' ? 130 : 143;
}

/**
 * Turns SIGINT, SIGTERM and, in a child process, the end of its parent into a wish to stop. `again` is called on a second
 * signal, when the person will not wait.
 */
export function listenForStop(notify: (reason: StopReason) => void, again: (reason: StopReason) => void): Stop {
  const stop: { reason: StopReason | undefined } = { reason: undefined };
  const wish = (reason: StopReason) => {
    if (stop.reason) again(reason);
    else {
      stop.reason = reason;
      notify(reason);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => wish(signal));
  if (process.channel) {
    process.channel.unref();
    process.on('disconnect', () => stop.reason ?? wish('parent gone'));
  }
  return stop;
}
