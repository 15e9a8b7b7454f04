import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { Option } from 'commander';
import type { NodeOutcome } from '../../pipeline/executors/executor.ts';
import { planDocument } from '../../pipeline/plan.ts';
import { recipeNames } from '../../pipeline/recipes.ts';
import { type PlanRun, runPlan } from '../../pipeline/run-plan.ts';
import { selectNodes } from '../../pipeline/selection.ts';
import { firstAvailable } from '../../tensor/backends/open.ts';
import { type AddCommand, type Program, typed } from '../command.ts';
import { duration } from '../duration.ts';
import { jsonOption, scaleOption, setOption, wholeNumber } from '../options.ts';
import { print, tell } from '../output.ts';
import { effortOf } from '../plan-effort.ts';
import { decisionText, planJson, planOf, planTable } from '../plan-view.ts';
import { openProgress, type Progress } from '../progress.ts';
import { table } from '../table.ts';

interface RunFlags {
  set: string[];
  scale?: number;
  only?: string[];
  startAt?: string;
  dryRun: boolean;
  jobs: number;
  executor?: string;
  out?: string;
  json: boolean;
}

export const addRunCommand: AddCommand = (parent, program) => {
  const command = parent
    .command('run')
    .summary('run a shipped pipeline by name, or your own file')
    .description('Run a shipped pipeline by name, or your own file. Finished nodes are not run again.')
    .argument('<pipeline>', 'name of a shipped pipeline, such as quickstart, or a YAML file')
    .addOption(setOption())
    .addOption(scaleOption())
    .option('--only <stages...>', 'run only these stages')
    .option('--start-at <stage>', 'run this stage and those after it')
    .option('--dry-run', 'check everything and show the plan without running it', false)
    .option('--jobs <number>', 'stages to run at the same time; they share the cores', wholeNumber(1), 1)
    .option('--out <folder>', 'folder of the results (default: checkpoints/<name of the pipeline>)')
    .addOption(jsonOption())
    .addHelpText('after', () => `\nRecipes: ${recipeNames().join(', ')}`)
    .action(program.action((name: string, flags: RunFlags) => run(name, flags, program)));
  if (program.executors.length > 1) command.addOption(executorOption(program.executors));
};

/** Only offered if there is a choice. */
function executorOption([first, ...others]: Program['executors']): Option {
  const names = [first, ...others].map(({ name }) => name);
  return new Option('--executor <name>', 'what runs the stages').choices(names).default(first.name);
}

async function run(name: string, flags: RunFlags, program: Program): Promise<number> {
  const { stages, executors, argv } = program;
  const { plan, again, withoutCompiler } = await planOf(name, flags, stages);
  const statuses = await selectNodes(plan, flags);
  if (flags.dryRun) {
    const effort = await effortOf(plan);
    print(flags.json ? planJson(plan, statuses, effort) : planTable(plan, statuses, effort), flags.json);
    return 0;
  }
  // Here, so that whoever waits sees an engine being compiled, which every node would otherwise say to its own log.
  const { kind, why } = await firstAvailable();
  if (kind.isInterpreted && withoutCompiler) {
    tell(`running \`${withoutCompiler}\` instead of \`${name}\`, which is small enough for plain TypeScript`);
    return run(withoutCompiler, flags, program);
  }
  if (kind.isInterpreted) tell(`computing in ${kind.name}${why}`);
  const progress = openProgress();
  const executor = (executors.find((kind) => kind.name === flags.executor) ?? executors[0]).open({
    jobs: flags.jobs,
    threads: Math.max(1, Math.floor(availableParallelism() / flags.jobs)),
    command: [...process.execArgv, process.argv[1]!],
  });
  const told = new Set(plan.sweeps.filter(({ decision }) => decision.status !== 'open').map(({ id }) => id));
  const done = await runPlan(
    { plan, statuses },
    {
      async again({ statuses: known }) {
        const plan = await again();
        for (const { id, decision } of plan.sweeps) {
          if (decision.status !== 'chosen' || told.has(id)) continue;
          told.add(id);
          progress.say(`${id}: ${decisionText(decision)}`);
        }
        return { plan, statuses: await selectNodes(plan, flags, known) };
      },
      executor,
      arguments: argv,
      stopping: (reason) =>
        progress.say(`${reason}: each running stage finishes its step and saves; again: end at once`),
      saving: (signal) => progress.say(`${signal}: each running stage finishes its step, saves and continues`),
      warn: (message) => progress.say(`warning: ${message}`),
      listener: {
        keptAside: ({ job }, folder) =>
          progress.say(`${job.id}: the result of other settings is kept in ${relative('', folder)}`),
        started: ({ job }) => progress.started(job.id),
        record: ({ job }, record) => progress.record(job.id, record),
        warned: ({ job }, message) => progress.say(`${job.id}: warning: ${message}`),
        ended: ({ job }, outcome) => progress.ended(job.id, outcomeLine(outcome)),
      },
    },
  ).finally(() => progress.close());
  for (const outcome of done.outcomes) if (isSweep(outcome, done)) progress.say(outcomeLine(outcome));
  if (flags.json) print({ pipeline: plan.pipeline, directory: plan.directory, ...summaryOf(done) }, true);
  else print(closing(done), false);
  if (done.status !== 0) tellHowToGoOn(progress, done, argv);
  return done.status;
}

const outcomeText: Partial<Record<NodeOutcome['status'], string>> = {
  finished: 'finished before',
  unselected: 'not selected',
};

function outcomeLine({ id, status, seconds, step, loss, error }: NodeOutcome): string {
  const numbers = [
    step === undefined ? '' : `step ${step}`,
    seconds === undefined ? '' : duration(seconds),
    loss === undefined ? '' : `loss ${loss.toPrecision(4)}`,
  ].filter(Boolean);
  const line = `${id}: ${status}${numbers.length > 0 ? ` (${numbers.join(', ')})` : ''}`;
  return error ? `${line}\n${error.replace(/^/gm, '  | ')}` : line;
}

/** A sweep that came to no decision ends like a node. */
const isSweep = ({ id }: NodeOutcome, { plan }: PlanRun) => plan.sweeps.some((sweep) => sweep.id === id);

/** All trials of a sweep are one row. */
function closing({ plan, outcomes, seconds, report }: PlanRun): string {
  const trials = new Set(plan.sweeps.flatMap((sweep) => sweep.trials.map(({ job }) => job.id)));
  const sweeps = plan.sweeps.flatMap(({ id, decision, ...sweep }) => {
    if (decision.status === 'failed') return [];
    const own = outcomes.filter((outcome) => sweep.trials.some(({ job }) => job.id === outcome.id));
    const time = own.reduce((sum, { seconds = 0 }) => sum + seconds, 0);
    return [[id, decisionText(decision) ?? 'not decided', time > 0 ? duration(time) : '', '', '']];
  });
  const shown = outcomes.filter(({ id, status }) => status === 'failed' || !trials.has(id));
  const rows = shown.map(({ id, status, seconds: time, step, loss, reason }) => [
    id,
    `${outcomeText[status] ?? status}${reason ? `: ${reason}` : ''}`,
    time === undefined ? '' : duration(time),
    step === undefined ? '' : String(step),
    loss === undefined ? '' : loss.toPrecision(4),
  ]);
  const head = ['node', 'status', 'time', 'steps', 'last loss'];
  return `${table(head, [...sweeps, ...rows])}\n${duration(seconds)} in all. ${report ? `Report: ${relative('', report)}` : 'The report could not be written'}`;
}

function summaryOf({ plan, outcomes, seconds, report, stopped }: PlanRun): Record<string, unknown> {
  const { nodes, sweeps } = planDocument(plan);
  const ended = nodes.map(({ id, key, directory }) => ({
    ...outcomes.find((outcome) => outcome.id === id),
    key,
    directory: join(plan.directory, directory),
  }));
  return { report, seconds, ...(stopped ? { stopped } : {}), nodes: ended, ...(sweeps.length > 0 ? { sweeps } : {}) };
}

function tellHowToGoOn(progress: Progress, { status, outcomes }: PlanRun, argv: readonly string[]): void {
  const failed = outcomes.filter((outcome) => outcome.status === 'failed').length;
  const what = failed > 0 ? `${failed} failed` : 'stopped, and what was done is saved';
  progress.say(`mixtune: ${what}; exit status ${status}`);
  progress.say(`  → to continue: ${typed({ argv })}`);
}
