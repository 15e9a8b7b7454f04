import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { removeDirectory } from '../../checkpoint/atomic.ts';
import { flagsOf } from '../../config/flags.ts';
import { schemaKeys } from '../../config/schema-keys.ts';
import { RequestError } from '../../errors.ts';
import { contentsBelow } from '../../pipeline/contents.ts';
import { prepareOwnFolder, standingOf } from '../../pipeline/node-folder.ts';
import { outputProblems } from '../../pipeline/output-check.ts';
import type { PlanNode } from '../../pipeline/plan.ts';
import { type NodeEnd, runNode } from '../../pipeline/run-node.ts';
import { makeSingleNode } from '../../pipeline/single-node.ts';
import { listenForStop, stopStatus } from '../../pipeline/stop.ts';
import { fileNames } from '../../runs/file-names.ts';
import { follow } from '../../runs/follow.ts';
import { openLog } from '../../runs/log-file.ts';
import { machineSchema } from '../../runs/machine.ts';
import { heldOutOf, readRecords } from '../../runs/records.ts';
import type { Stage } from '../../stages/stage.ts';
import { type AddCommand, type Program, typed } from '../command.ts';
import { duration } from '../duration.ts';
import { jsonOption, threadsOption, wholeNumber } from '../options.ts';
import { print, tell } from '../output.ts';
import { openProgress } from '../progress.ts';

interface OwnFlags {
  out: string;
  seed: number;
  threads: number;
  json: boolean;
}

/** Stages that have a specialised command instead. */
const ownCommands = new Set(['analyze', 'evaluate', 'export']);

/** A command for each stage, with its keys as flags, and `--out`, `--seed`, `--threads` and `--json`. */
export const addStageCommands: AddCommand = (parent, program) => {
  for (const stage of program.stages) if (!ownCommands.has(stage.name)) addStageCommand(parent, stage, program);
};

function addStageCommand(parent: Command, stage: Stage, program: Program): void {
  const keys = [...schemaKeys(stage.schema), ...schemaKeys(machineSchema)];
  const command = parent
    .command(stage.name)
    .summary(stage.summary)
    .description(`${sentence(stage.summary)}.`);
  for (const option of keys.flatMap(flagsOf)) command.addOption(option);
  command
    .addOption(
      new Option('--out <folder>', 'folder of the run; the result is its final/').default(`checkpoints/${stage.name}`),
    )
    .addOption(new Option('--seed <number>', 'seed of every random stream').argParser(wholeNumber(0)).default(1))
    .addOption(threadsOption())
    .addOption(jsonOption())
    .action(
      program.action(async ({ out, seed, threads, json, ...values }: OwnFlags & Record<string, unknown>) =>
        runStage(stage, values, { out, seed, threads, json }, program),
      ),
    );
}

async function runStage(
  stage: Stage,
  values: Readonly<Record<string, unknown>>,
  { out, seed, threads, json }: OwnFlags,
  { stages, argv }: Program,
): Promise<number> {
  const baseDirectory = process.cwd();
  const directory = resolve(out);
  const contents = contentsBelow(baseDirectory);
  const node = await makeSingleNode(stage, values, { stages, directory, baseDirectory, contents, seed });
  const problems = await outputProblems({ directory, nodes: [node] });
  if (problems.length > 0) throw new RequestError(problems, `mixtune ${stage.name}`);
  const status = await standingOf(node.job);
  if (status === 'finished') {
    tell(`${relative('', directory) || '.'} already has the finished result of exactly this run; nothing to do`);
    if (json) print({ status, directory, final: join(directory, fileNames.final) }, true);
    return 0;
  }
  const isThere = existsSync(directory);
  await prepareOwnFolder(node, status);
  const end = await runShown(node, stages, threads).catch(async (error: unknown) => {
    // A request that turns out to be wrong when it is opened leaves no new folder, because no step was done.
    if (!isThere && error instanceof RequestError) await removeDirectory(directory);
    throw error;
  });
  const heldOut = heldOutOf(await readRecords(join(directory, fileNames.records)));
  if (json)
    print({ ...end, ...(heldOut ? { heldOut } : {}), directory, final: join(directory, fileNames.final) }, true);
  else print(closing(end, directory), false);
  if (end.status === 'done') return 0;
  const again = typed({ argv });
  tell(end.saved ? `  → to continue: ${again}` : `  → to start again: ${again}`);
  return stopStatus(end.reason);
}

async function runShown({ job }: PlanNode, stages: readonly Stage[], threads: number): Promise<NodeEnd> {
  const progress = openProgress();
  const write = openLog(job.directory, (message) => progress.say(`warning: ${message}`));
  const log = (message: string) => {
    write(message);
    progress.say(message);
  };
  const stop = listenForStop({
    stopping: (reason) => progress.say(`${reason}: stopping after this step; again: end at once`),
    again: (reason) => process.exit(stopStatus(reason)),
    saving: (signal) => progress.say(`${signal}: saving after this step`),
  });
  progress.started(job.id);
  const running = runNode(job, { stages, threads, stop, log, warn: (message) => log(`warning: ${message}`) });
  await follow(job.directory, running, (record) => progress.record(job.id, record));
  progress.close();
  return running;
}

function closing(end: NodeEnd, directory: string): string {
  const folder = relative('', directory) || '.';
  if (end.status === 'stopped') return `stopped after step ${end.step}`;
  return `done after ${end.step} steps in ${duration(end.seconds)}: ${join(folder, fileNames.final)}`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
