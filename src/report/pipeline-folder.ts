import { createReadStream } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../config/json.ts';
import { linesOf } from '../data/record-splitting.ts';
import { RequestError } from '../errors.ts';

const planSchema = z.looseObject({
  pipeline: z.string(),
  /** What followed `mixtune` on the command line. */
  arguments: z.array(z.string()).optional(),
  nodes: z.array(
    z.looseObject({
      id: z.string(),
      stage: z.string(),
      run: z.string(),
      variant: z.string().optional(),
      seed: z.number().optional(),
      directory: z.string(),
      inputs: z.array(z.string()).default([]),
    }),
  ),
});

/** What stands in JSON for the numbers that it cannot hold. */
const nonFinite: ReadonlyMap<unknown, number> = new Map(
  [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((value) => [String(value), value]),
);

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : nonFinite.get(value));

const numberSchema = z
  .unknown()
  .transform(numberOf)
  .pipe(z.custom<number>((value) => value !== undefined, 'expected a number'));

const sampleSchema = z.object({
  prompt: z.string(),
  completion: z.string(),
  expected: z.string().optional(),
  /** Of a reward model, or what the stage learned from. */
  reward: numberSchema.optional(),
});

const measurement = {
  metrics: z.record(z.string(), numberSchema),
  samples: z.array(sampleSchema).default([]),
};

/** What a compare stage writes. */
const comparisonSchema = z.looseObject({
  rows: z.array(
    z.looseObject({
      stage: z.string(),
      variant: z.string().optional(),
      seed: z.number().optional(),
      against: z.string().optional(),
      ...measurement,
    }),
  ),
});

/** What an evaluate stage writes. */
const evaluationSchema = z.looseObject(measurement);

type PlanNode = z.infer<typeof planSchema>['nodes'][number];
export type ResultRow = z.infer<typeof comparisonSchema>['rows'][number];
export type ReportSample = z.infer<typeof sampleSchema>;

/** The numbers of one record of metrics.jsonl, with `step` among them. */
export type NumericRecord = Readonly<Record<string, number>>;

/** One node of the plan with all that it has left in its folder. */
export interface ReportNode extends PlanNode {
  /** `broken off`: there are records, but neither a result nor a stop on purpose; it failed, or still runs. */
  status: 'finished' | 'stopped' | 'broken off' | 'not run';
  /** What log.txt ends with, where the node broke off. */
  lastWords?: string;
  steps: NumericRecord[];
  evaluations: NumericRecord[];
  /** The last samples that the node drew while it ran. */
  samples: ReportSample[];
  start: Readonly<Record<string, unknown>>;
  done: NumericRecord;
  /** What the stage returned. */
  result: NumericRecord;
  /** Text of config.yaml. */
  config: string;
}

export interface PipelineFolder {
  name: string;
  arguments: readonly string[];
  nodes: ReportNode[];
  results: ResultRow[];
}

/**
 * Reads `checkpoints/<pipeline>/`: plan.json, each node's records and config, and the results of its compare and
 * evaluate stages. Nodes that have not run are there with nothing in them. A plan or results file of another form is a
 * RequestError.
 */
export async function readPipelineFolder(directory: string): Promise<PipelineFolder> {
  const plan = await readJson(join(directory, 'plan.json'), planSchema);
  if (!plan) {
    throw new RequestError(
      {
        message: 'there is no plan.json',
        where: directory,
        hint: 'give the folder that `mixtune run` wrote, such as checkpoints/quickstart',
      },
      'the report',
    );
  }
  const nodes: ReportNode[] = [];
  const results: ResultRow[] = [];
  for (const node of plan.nodes) {
    const folder = join(directory, node.directory);
    nodes.push(await readNode(node, folder));
    results.push(...(await readResults(node, join(folder, 'final', 'results.json'))));
  }
  return { name: plan.pipeline, arguments: plan.arguments ?? ['run', plan.pipeline], nodes, results };
}

async function readResults({ run, stage, variant, seed }: PlanNode, file: string): Promise<ResultRow[]> {
  if (run === 'compare') return (await readJson(file, comparisonSchema))?.rows ?? [];
  const evaluation = run === 'evaluate' ? await readJson(file, evaluationSchema) : undefined;
  return evaluation ? [{ ...evaluation, stage, variant, seed, against: undefined }] : [];
}

async function readNode(plan: PlanNode, folder: string): Promise<ReportNode> {
  const node: ReportNode = {
    ...plan,
    status: 'not run',
    steps: [],
    evaluations: [],
    samples: [],
    start: {},
    done: {},
    result: {},
    config: '',
  };
  for await (const record of readRecords(join(folder, 'metrics.jsonl'))) {
    node.status = record.type === 'stopped' ? 'stopped' : 'broken off';
    if (record.type === 'start') node.start = record;
    else if (record.type === 'step') node.steps.push(numbersOf(record));
    else if (record.type === 'eval') node.evaluations.push(numbersOf(record));
    else if (record.type === 'done') {
      node.done = numbersOf(record);
      node.result = numbersOf(asObject(record.result) ?? {});
    } else if (record.type === 'sample') node.samples = z.array(sampleSchema).catch([]).parse(record.samples);
  }
  node.config = (await readText(join(folder, 'config.yaml'))) ?? '';
  if (await exists(join(folder, 'manifest.json'))) return { ...node, status: 'finished' };
  const log = (await readText(join(folder, 'log.txt')))?.trim();
  if (!log || node.status === 'stopped') return node;
  return { ...node, status: 'broken off', lastWords: log.split(/\n\s*/).slice(-3).join('\n') };
}

/** The objects of a JSONL file, none when it is absent; a line that a crash cut short is left out. */
async function* readRecords(file: string): AsyncGenerator<Record<string, unknown>> {
  if (!(await exists(file))) return;
  for await (const { bytes } of linesOf(createReadStream(file) as AsyncIterable<Buffer>)) {
    const record = parseObject(bytes.toString('utf8'));
    if (record) yield record;
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    return asObject(parseJson(line));
  } catch {
    return undefined;
  }
}

const asObject = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;

function numbersOf(record: Readonly<Record<string, unknown>>): NumericRecord {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => {
      const number = numberOf(value);
      return number === undefined ? [] : [[key, number]];
    }),
  );
}

async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new RequestError({ message: `not valid JSON (${(error as Error).message})`, where: file }, 'the report');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RequestError(
    parsed.error.issues.map(({ path, message }) => ({ message, where: `${file}: ${path.join('.')}` })),
    'the report',
  );
}

async function readText(file: string): Promise<string | undefined> {
  return (await exists(file)) ? readFile(file, 'utf8') : undefined;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
