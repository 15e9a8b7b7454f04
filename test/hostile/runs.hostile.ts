import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readManifest, verifyManifest, writeManifest } from '../../src/checkpoint/manifest.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { writeReport } from '../../src/report/write-report.ts';
import { readJob, writeJob } from '../../src/runs/node-file.ts';
import { readPipelineFolder } from '../../src/runs/pipeline-folder.ts';
import { readRecords } from '../../src/runs/records.ts';
import { readResults } from '../../src/runs/results.ts';
import { differences, readRun } from '../../src/runs/run.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import {
  loadTrainingState,
  newTrainingState,
  releaseTrainingState,
  saveTrainingState,
} from '../../src/training/state.ts';
import { mix } from '../checkpoint/made-models.ts';
import { writeSampleFolder } from '../report/sample-folder.ts';
import { folder, hold } from './harness.ts';
import { mutateBytes, mutateJson, mutateJsonLines, mutateText } from './mutators.ts';

const json = [mutateJson, mutateJson, mutateText, mutateBytes];

const listed = join(folder, 'listed');
mkdirSync(listed);
writeFileSync(join(listed, 'a.txt'), 'a');
writeFileSync(join(listed, 'b.txt'), 'b');
await writeManifest(listed, { progress: { step: 3 } });

const state = join(folder, 'state');
mkdirSync(state);
const backend = new PortableBackend('f32');
const tokenizer = trainTokenizer(['the cat sat on the mat'.repeat(10)], { vocabSize: 270 });
const setup = { rows: 10, seed: 1, recompute: false };
const saved = newTrainingState(
  await initialiseModel({ ...mix, vocabSize: tokenizer.vocabSize }, backend, 1),
  setup,
  tokenizer,
);
await saveTrainingState(saved, state);

const node = join(folder, 'node');
await writeJob({
  format: 1,
  id: 'sft/mix/seed-1',
  stage: 'sft',
  run: 'sft',
  variant: 'mix',
  seed: 1,
  key: 'k',
  directory: node,
  baseDirectory: folder,
  machine: { backend: 'auto', precision: 'auto' },
  config: { lr: 1e-4, data: 'town/instructions' },
  inputs: { from: [{ name: 'pretrain', directory: join(folder, 'from'), seed: 1 }] },
} as never);
const records = ['step', 'eval', 'sample', 'step', 'done'].map((type, i) =>
  JSON.stringify({
    type,
    step: i + 1,
    totalSteps: 5,
    seconds: i + 0.5,
    loss: 3 - i / 10,
    ...(type === 'sample' ? { samples: [{ prompt: 'Hi', completion: 'Ho', expected: 'Ho' }] } : {}),
  }),
);
writeFileSync(join(node, 'metrics.jsonl'), `${records.join('\n')}\n`);

const reported = join(folder, 'reported');
await writeSampleFolder(reported, { variants: ['pre', 'mix'], seeds: [1] });
const recordsOfNode = join(reported, 'sft/mix/seed-1/metrics.jsonl');
const first = (file: string, lines: number) => readFileSync(file, 'utf8').split('\n').slice(0, lines).join('\n');

const inside =
  (file: string, read: () => unknown) =>
  (input: Buffer): unknown => {
    writeFileSync(file, input);
    return read();
  };

const jobFile = readFileSync(join(node, 'node.json'));
const metricsFile = readFileSync(join(node, 'metrics.jsonl'));
const plan = readFileSync(join(reported, 'plan.json'));
const compared = 'compare/shared/seed-1';
const results = join(reported, compared, 'final/results.json');

hold([
  {
    name: 'manifest',
    samples: [readFileSync(join(listed, 'manifest.json'))],
    mutators: json,
    read: inside(join(listed, 'manifest.json'), async () => [await readManifest(listed), await verifyManifest(listed)]),
  },
  {
    name: 'state',
    samples: [readFileSync(join(state, 'state.json'))],
    mutators: json,
    read: inside(join(state, 'state.json'), async () => {
      const { optimizer, cursor, ...rest } = await loadTrainingState(state, backend, setup, tokenizer);
      const rows = cursor.take(3);
      const { step } = optimizer;
      releaseTrainingState({ optimizer, cursor, ...rest });
      return { step, rows };
    }),
    wrong: ({ step, rows }: { step: number; rows: number[] }) => {
      if (!(Number.isSafeInteger(step) && step >= 0)) return `step ${step}`;
      return rows.every((row) => row >= 0 && row < setup.rows) ? undefined : `rows ${rows}`;
    },
  },
  {
    name: 'node',
    samples: [jobFile],
    mutators: json,
    read: inside(join(node, 'node.json'), async () => {
      const [job, run] = [await readJob(join(node, 'node.json')), await readRun(node)];
      return [job, differences(run, run)];
    }),
  },
  {
    name: 'metrics',
    samples: [metricsFile],
    mutators: [mutateJsonLines, mutateJsonLines, mutateText, mutateBytes],
    async read(input) {
      writeFileSync(join(node, 'node.json'), jobFile);
      writeFileSync(join(node, 'metrics.jsonl'), input);
      return [await readRecords(join(node, 'metrics.jsonl')), await readRun(node)];
    },
    wrong: ([records]: [{ step: unknown; type: unknown }[]]) => {
      const bad = records.find(
        ({ step, type }) => !(Number.isInteger(step) && (step as number) >= 0) || typeof type !== 'string',
      );
      return bad && `a record of step ${bad.step}, type ${bad.type}`;
    },
  },
  {
    name: 'report',
    share: 0.05,
    samples: [first(recordsOfNode, 8)],
    mutators: [mutateJsonLines, mutateJsonLines, mutateText, mutateBytes],
    read: inside(recordsOfNode, () => {
      writeFileSync(join(reported, 'plan.json'), plan);
      return writeReport(reported);
    }),
  },
  {
    name: 'results',
    samples: [readFileSync(results)],
    mutators: json,
    read: inside(results, () => readResults(join(reported, compared), { stage: 'compare' })),
  },
  {
    name: 'plan',
    samples: [plan],
    mutators: json,
    read: inside(join(reported, 'plan.json'), () => readPipelineFolder(reported)),
  },
]);
