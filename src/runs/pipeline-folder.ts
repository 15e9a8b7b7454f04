import { join } from 'node:path';
import { z } from 'zod';
import type { SpentBudget } from '../training/budget.ts';
import { fileNames } from './file-names.ts';
import { type ItemRow, readItems } from './items.ts';
import { readIfThere } from './json-file.ts';
import { lastWords } from './log-file.ts';
import { numbersOf } from './numbers.ts';
import { type PlanFile, readPlan } from './plan-file.ts';
import { budgetOf, endingOf, readRecords } from './records.ts';
import { type ResultRow, readResults, type Sample, sampleSchema } from './results.ts';
import { type RunStatus, statusOf } from './status.ts';
import { readTrial } from './trial.ts';

/** The numbers of one record of metrics.jsonl, including `step`. */
export type NumericRecord = Readonly<Record<string, number>>;

/** One node of a plan with everything in its folder; the fields of a node that has not run are empty. */
export interface RecordedNode extends PlanNode {
  status: RunStatus;
  /** For a node that failed or broke off, the end of log.txt and the reason. */
  lastWords?: string;
  steps: NumericRecord[];
  evaluations: NumericRecord[];
  /** The last samples that the node generated during its run. */
  samples: Sample[];
  start: Readonly<Record<string, unknown>>;
  done: NumericRecord;
  /** What the stage returned. */
  result: NumericRecord;
  /** What its training has spent; absent where it has not ended, does not train, or ran before this was recorded. */
  budget?: SpentBudget | undefined;
  /** Text of config.yaml. */
  config: string;
}

type PlanNode = PlanFile['nodes'][number];
type PlannedSweep = PlanFile['sweeps'][number];

/** A sweep with what its trials have come to. */
export type RecordedSweep = Omit<PlannedSweep, 'trials'> & { trials: RecordedTrial[] };

type RecordedTrial = PlannedSweep['trials'][number] & {
  /** The metric before the first step, and at the end: not a number if training diverged, absent if it goes on. */
  start?: number | undefined;
  end?: number | undefined;
  isUnstable?: boolean | undefined;
  seconds: number;
  budget?: SpentBudget | undefined;
};

/** Lines shown from the log of a node that failed. */
const shownLines = 3;

export interface PipelineFolder {
  name: string;
  arguments: readonly string[];
  /** Results of others in the setting of the pipeline. */
  published: PlanFile['published'];
  nodes: RecordedNode[];
  /** The results of the nodes that measure models. */
  results: ResultRow[];
  /** What they have found item by item. */
  items: ItemRow[];
  sweeps: RecordedSweep[];
}

/**
 * Reads `checkpoints/<pipeline>/`: plan.json, and each node's records, config, results and items.
 * @throws RequestError if the plan is missing, or the plan or results are not valid
 */
export async function readPipelineFolder(directory: string): Promise<PipelineFolder> {
  const plan = await readPlan(directory);
  const nodes: RecordedNode[] = [];
  const results: ResultRow[] = [];
  const items: ItemRow[] = [];
  for (const node of plan.nodes) {
    const folder = join(directory, node.directory);
    nodes.push(await readNode(node, folder));
    results.push(...(await readResults(folder, node)));
    for (const item of await readItems(folder, node)) items.push(item);
  }
  const sweeps = await Promise.all(plan.sweeps.map((sweep) => readSweep(sweep, directory)));
  const { pipeline: name, arguments: words = ['run', name], published } = plan;
  return { name, arguments: words, published, nodes, results, items, sweeps };
}

async function readSweep({ trials, ...sweep }: PlannedSweep, directory: string): Promise<RecordedSweep> {
  const recorded = trials.map(async (trial) => {
    const folder = join(directory, trial.directory);
    const records = await readRecords(join(folder, fileNames.records));
    const { seconds = 0 } = numbersOf(records.at(-1) ?? {});
    return { ...trial, ...(await readTrial(folder, sweep.metric)), seconds, budget: budgetOf(records) };
  });
  return { ...sweep, trials: await Promise.all(recorded) };
}

async function readNode(node: PlanNode, folder: string): Promise<RecordedNode> {
  const records = await readRecords(join(folder, fileNames.records));
  const ofType = (type: string) => records.filter((record) => record.type === type);
  const done = ofType('done').at(-1);
  const status = statusOf(folder, records);
  const words = status === 'failed' || status === 'broken off' ? await lastWords(folder, shownLines) : '';
  const ending = endingOf(records);
  const reason = ending?.type === 'failed' && !words.includes(ending.message) ? ending.message : '';
  return {
    ...node,
    status,
    lastWords: [words, reason].filter(Boolean).join('\n'),
    steps: ofType('step').map(numbersOf),
    evaluations: ofType('eval').map(numbersOf),
    samples: z.array(sampleSchema).catch([]).parse(ofType('sample').at(-1)?.samples),
    start: ofType('start').at(-1) ?? {},
    done: numbersOf(done ?? {}),
    result: typeof done?.result === 'object' ? numbersOf({ ...done.result }) : {},
    budget: budgetOf(records),
    config: (await readIfThere(join(folder, fileNames.config))) ?? '',
  };
}
