import { MultiBar, type SingleBar } from 'cli-progress';
import type { MetricsRecord } from '../runs/records.ts';
import { visible, visibleLine } from '../visible.ts';
import { duration } from './duration.ts';
import { milestones, shortly } from './milestones.ts';
import { tell } from './output.ts';

/** Shows the progress of nodes on standard error: bars in a terminal, lines elsewhere. */
export interface Progress {
  started(id: string): void;
  record(id: string, record: MetricsRecord): void;
  ended(id: string, line: string): void;
  /** Prints a line that stays. */
  say(line: string): void;
  close(): void;
}

export function openProgress(): Progress {
  return process.stderr.isTTY ? bars() : lines();
}

/**
 * The set of bars is closed when none of them is running, so that lines written in between find the cursor where they
 * expect it.
 */
function bars(): Progress {
  let multi: MultiBar | undefined;
  const told = milestones();
  const running = new Map<string, SingleBar>();
  const say = (line: string) => {
    if (multi) multi.log(`${visible(line)}\n`);
    else tell(line);
  };
  const close = () => {
    multi?.update(); // writes pending lines
    multi?.stop();
    multi = undefined;
  };
  return {
    say,
    close,
    started(id) {
      multi ??= newBars();
      running.set(id, multi.create(1, 0, { id: visibleLine(id), numbers: '' }));
    },
    record(id, record) {
      const bar = running.get(id);
      const line = told.lineOf(id, record);
      if (line) say(line);
      if (record.type !== 'step' || !bar) return;
      if (typeof record.totalSteps === 'number') bar.setTotal(record.totalSteps);
      bar.update(record.step, { id: visibleLine(id), numbers: numbersOf(record, told.secondsLeft(id, record)) });
    },
    ended(id, line) {
      const bar = running.get(id);
      running.delete(id);
      if (bar) multi?.remove(bar);
      if (running.size === 0) close();
      say(line);
    },
  };
}

function newBars(): MultiBar {
  return new MultiBar({
    format: '{id} {bar} {percentage}%  step {value}/{total}{numbers}',
    clearOnComplete: true,
    hideCursor: true,
    stream: process.stderr,
    linewrap: false,
    barsize: 24,
    gracefulExit: false,
    fps: 5,
  });
}

/** Prints a line at each tenth of a node, and whenever nothing was printed for 15 seconds. */
function lines(): Progress {
  const shown = new Map<string, { tenth: number; at: number }>();
  const told = milestones();
  const say = tell;
  return {
    say,
    started(id) {
      shown.set(id, { tenth: 0, at: Date.now() });
      say(`${id}: opening`);
    },
    record(id, record) {
      const last = shown.get(id);
      const line = told.lineOf(id, record);
      if (line) say(line);
      if (record.type !== 'step' || !last) return;
      const tenth = typeof record.totalSteps === 'number' ? Math.floor((10 * record.step) / record.totalSteps) : 0;
      if (tenth <= last.tenth && Date.now() - last.at < 15_000) return;
      shown.set(id, { tenth, at: Date.now() });
      say(
        `${id}: step ${record.step}${record.totalSteps ? `/${record.totalSteps}` : ''}${numbersOf(record, told.secondsLeft(id, record))}`,
      );
    },
    ended: (_id, line) => say(line),
    close: () => undefined,
  };
}

/** The metrics of a step that are shown, in this order. */
const shownMetrics = ['loss', 'accuracy', 'margin', 'reward', 'kl'];

function numbersOf(record: MetricsRecord, secondsLeft: number | undefined): string {
  const { tokensPerSecond } = record;
  const parts = [
    ...shownMetrics.flatMap((name) => measured(name, record[name]) ?? []),
    typeof tokensPerSecond === 'number' ? `${Math.round(tokensPerSecond).toLocaleString('en')} tokens/s` : '',
    secondsLeft ? `ETA ${duration(secondsLeft)}` : '',
  ];
  return parts
    .filter(Boolean)
    .map((part) => `  ${part}`)
    .join('');
}

const measured = (name: string, value: unknown): string | undefined =>
  typeof value === 'number' ? `${name} ${shortly(name, value)}` : undefined;
