import { availableParallelism } from 'node:os';
import { relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Contents, contentsBelow } from '../pipeline/contents.ts';
import type { NodeOutcome } from '../pipeline/executors/executor.ts';
import type { NodeStatus } from '../pipeline/node-folder.ts';
import { parsePipeline } from '../pipeline/pipeline-file.ts';
import { makePlan, type Plan, planDocument } from '../pipeline/plan.ts';
import { readPipelineText, recipeNames } from '../pipeline/recipes.ts';
import { type PlanRun, runPlan } from '../pipeline/run-plan.ts';
import { requirePipelineFolder, selectNodes } from '../pipeline/selection.ts';
import type { Stage } from '../stages/stage.ts';
import { firstAvailable } from '../tensor/backends/open.ts';
import { duration } from './duration.ts';
import { jsonOption, wholeNumber } from './options.ts';
import { print, tell } from './output.ts';
import type { Program } from './program.ts';
import { openProgress, type Progress } from './progress.ts';
import { table } from './table.ts';

interface RunFlags {
  set: string[];
  only?: string[];
  startAt?: string;
  dryRun: boolean;
  jobs: number;
  executor?: string;
  out?: string;
  json: boolean;
}

export function addRunCommand(parent: Command, program: Program): void {
  const command = parent
    .command('run')
    .summary('run a shipped pipeline by name, or your own file')
    .description('Run a shipped pipeline by name, or your own file. Finished nodes are not run again.')
    .argument('<pipeline>', 'name of a shipped pipeline, such as quickstart, or a YAML file')
    .option('--set <path=value...>', 'set a parameter or any key, such as stages.sft.lr=1e-4', collect, [])
    .option('--only <stages...>', 'run only these stages')
    .option('--start-at <stage>', 'run this stage and those after it')
    .option('--dry-run', 'check everything and show the plan without running it', false)
    .option('--jobs <number>', 'stages to run at the same time; they share the cores', wholeNumber(1), 1)
    .option('--out <folder>', 'folder of the results (default: checkpoints/<name of the pipeline>)')
    .addOption(jsonOption())
    .addHelpText('after', () => `\nRecipes: ${recipeNames().join(', ')}`)
    .action(program.action((name: string, flags: RunFlags) => run(name, flags, program)));
  if (program.executors.length > 1) command.addOption(executorOption(program.executors));
}

/** Asked for only where there is a choice. */
function executorOption([first, ...others]: Program['executors']): Option {
  const names = [first, ...others].map(({ name }) => name);
  return new Option('--executor <name>', 'what runs the stages').choices(names).default(first.name);
}

async function run(name: string, flags: RunFlags, program: Program): Promise<number> {
  const { stages, executors, argv } = program;
  const { plan, withoutCompiler } = await planOf(name, flags, stages);
  const statuses = await selectNodes(plan, flags);
  if (flags.dryRun) {
    print(flags.json ? planJson(plan, statuses) : planTable(plan, statuses), flags.json);
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
  const done = await runPlan(plan, {
    statuses,
    executor,
    arguments: argv,
    stopping: (reason) => progress.say(`${reason}: each running stage finishes its step and saves; again: end at once`),
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
  }).finally(() => progress.close());
  if (flags.json) print({ pipeline: plan.pipeline, directory: plan.directory, ...summaryOf(done, plan) }, true);
  else print(closing(done), false);
  if (done.status !== 0) tellHowToGoOn(progress, done, argv);
  return done.status;
}

/** The plan of a pipeline as flags ask for it, and what would replace it; everything wrong is a RequestError. */
export async function planOf(
  name: string,
  flags: Pick<RunFlags, 'set' | 'out'>,
  stages: readonly Stage[],
): Promise<{ plan: Plan; contents: Contents; withoutCompiler: string | undefined }> {
  const { text, file } = await readPipelineText(name);
  const pipeline = parsePipeline(text, file, flags.set);
  const baseDirectory = process.cwd();
  const directory = resolve(flags.out ?? `checkpoints/${pipeline.name}`);
  const contents = contentsBelow(baseDirectory);
  const plan = await makePlan(pipeline, { stages, directory, baseDirectory, contents });
  await requirePipelineFolder(plan);
  return { plan, contents, withoutCompiler: pipeline.withoutCompiler };
}

/** A repeatable option that also takes several values at once. */
export function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

export function planTable(plan: Plan, statuses: ReadonlyMap<string, NodeStatus>): string {
  const rows = plan.nodes.map(({ job, inputs }) => {
    const status = statuses.get(job.id);
    return [job.id, job.run, status ? statusText[status] : 'not selected', inputs.join(', ')];
  });
  return `${table(['node', 'runs', 'status', 'reads'], rows)}\nin ${plan.directory}`;
}

export function planJson(plan: Plan, statuses: ReadonlyMap<string, NodeStatus>): Record<string, unknown> {
  const { pipeline, nodes } = planDocument(plan);
  const withStatus = nodes.map((node) => ({ ...node, status: statuses.get(node.id) ?? 'not selected' }));
  return { pipeline, directory: plan.directory, nodes: withStatus };
}

const statusText: Readonly<Record<NodeStatus, string>> = {
  new: 'to run',
  begun: 'to go on with',
  finished: 'finished',
  superseded: 'to run; the old result is kept',
};

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

function closing({ outcomes, seconds, report }: PlanRun): string {
  const rows = outcomes.map(({ id, status, seconds: time, step, loss, reason }) => [
    id,
    `${outcomeText[status] ?? status}${reason ? `: ${reason}` : ''}`,
    time === undefined ? '' : duration(time),
    step === undefined ? '' : String(step),
    loss === undefined ? '' : loss.toPrecision(4),
  ]);
  const head = ['node', 'status', 'time', 'steps', 'last loss'];
  return `${table(head, rows)}\n${duration(seconds)} in all. ${report ? `Report: ${relative('', report)}` : 'The report could not be written'}`;
}

function summaryOf({ outcomes, seconds, report, stopped }: PlanRun, plan: Plan): Record<string, unknown> {
  const nodes = plan.nodes.map(({ job: { id, key, directory } }) => ({
    ...outcomes.find((outcome) => outcome.id === id),
    key,
    directory,
  }));
  return { report, seconds, ...(stopped ? { stopped } : {}), nodes };
}

function tellHowToGoOn(progress: Progress, { status, outcomes }: PlanRun, argv: readonly string[]): void {
  const failed = outcomes.filter((outcome) => outcome.status === 'failed').length;
  const what = failed > 0 ? `${failed} failed` : 'stopped, and what was done is saved';
  progress.say(`mixtune: ${what}; exit status ${status}`);
  progress.say(`  → to continue: mixtune ${argv.map(quoted).join(' ')}`);
}

/** An argument as a shell takes it. */
export function quoted(argument: string): string {
  return /^[\w./:=@%+,-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
