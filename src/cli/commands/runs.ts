import { type Difference, differences, listRuns, type Run, readRun } from '../../runs/run.ts';
import type { AddCommand } from '../command.ts';
import { duration } from '../duration.ts';
import { jsonOption } from '../options.ts';
import { print } from '../output.ts';
import { table } from '../table.ts';

interface Flags {
  json: boolean;
}

export const addRunsCommand: AddCommand = (parent, { action }) => {
  const runs = parent.command('runs').description('List runs, show one, or show how two differ.');
  runs
    .command('list')
    .description('List the runs below a folder.')
    .argument('[folder]', 'folder to look in', 'checkpoints')
    .addOption(jsonOption())
    .action(
      action(async (folder: string, { json }: Flags) => {
        const found = await listRuns(folder);
        print(json ? found : list(found), json);
        return 0;
      }),
    );
  runs
    .command('show')
    .description('Show the config and the last metrics of a run.')
    .argument('<run>', 'folder of the run')
    .addOption(jsonOption())
    .action(
      action(async (folder: string, { json }: Flags) => {
        const run = await readRun(folder);
        print(json ? run : show(run), json);
        return 0;
      }),
    );
  runs
    .command('diff')
    .description('Show the keys and metrics that differ between two runs.')
    .argument('<run>', 'folder of a run')
    .argument('<other>', 'folder of another')
    .addOption(jsonOption())
    .action(
      action(async (first: string, second: string, { json }: Flags) => {
        const [a, b] = [await readRun(first), await readRun(second)];
        const found = differences(a, b);
        print(json ? found : diff(a, b, found), json);
        return 0;
      }),
    );
};

function list(runs: readonly Run[]): string {
  const rows = runs.map(({ name, run, status, step, seconds, metrics }) => [
    name,
    run,
    status,
    String(step),
    duration(seconds),
    number(metrics.loss),
    number(metrics['eval/loss']),
  ]);
  return table(['run', 'runs', 'status', 'steps', 'time', 'loss', 'held-out loss'], rows);
}

function show({ name, run, variant, seed, status, step, seconds, config, metrics }: Run): string {
  const about = `${name}: ${run}${variant ? `, variant ${variant}` : ''}, seed ${seed}, ${status} at step ${step} after ${duration(seconds)}`;
  const rows = (entries: Readonly<Record<string, unknown>>) =>
    Object.entries(entries).map(([key, value]) => [key, text(value)]);
  return [about, '', table(['key', 'value'], rows(config)), '', table(['metric', 'last value'], rows(metrics))].join(
    '\n',
  );
}

function diff(a: Run, b: Run, { config, metrics }: { config: Difference[]; metrics: Difference[] }): string {
  const rows = (found: readonly Difference[]) => found.map(({ name, values }) => [name, ...values.map(text)]);
  const all = [...rows(config), ...rows(metrics)];
  return all.length === 0 ? 'no difference' : table(['', a.name, b.name], all);
}

function text(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}

function number(value: number | undefined): string {
  return value === undefined ? '' : value.toPrecision(4);
}
