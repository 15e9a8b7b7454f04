import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';

/**
 * For each row of *What goes where*: the files of the addition, which are in this folder; for each file that lists it,
 * pairs of a text and its replacement; and a test that it works, on samples that `writeSamples` wrote. `at(PATH)` imports
 * a module of the sources with all additions, `command(…)` runs one of their commands, `saved(FOLDER, CONFIG)` is a small
 * model that was written and read back, and `slope(BACKEND)` gives softplus(0) and its derivative.
 */
export const rows = {
  'a stage': {
    files: ['src/stages/toy.ts'],
    lines: { 'src/stages/index.ts': [imported('toyStage'), ['  exportStage,\n]', '  exportStage,\n  toyStage,\n]']] },
    async works({ command }) {
      assert.equal((await command('toy', '--steps', '3', '--backend', 'portable', '--out', 'own')).status, 0);
      assert.equal(JSON.parse(await readFile('own/final/results.json', 'utf8')).metrics.letters, 3);
    },
  },
  'an executor': {
    files: ['src/pipeline/executors/toy.ts'],
    lines: {
      'src/pipeline/executors/index.ts': [imported('toyExecutor'), ['[localExecutor]', '[localExecutor, toyExecutor]']],
    },
    async works({ command }) {
      const { status, out } = await command('run', 'toy', '--executor', 'toy', '--out', 'executed', '--json');
      assert.equal(status, 0);
      assert.equal(JSON.parse(out).nodes[0].status, 'done');
    },
  },
  'a data format': {
    files: ['src/data/formats/toy.ts'],
    lines: { 'src/data/formats/index.ts': [imported('toyFormat'), ['= [preference,', '= [toyFormat, preference,']] },
    async works({ at }) {
      const { openDataset } = await at('data/dataset.js');
      const { rows } = await openDataset('poems.jsonl', 'text', { baseDirectory: process.cwd() });
      assert.deepEqual(
        rows.map(({ text }) => text),
        ['old pond\nfrog', 'snow'],
      );
    },
  },
  'a measurement': {
    files: ['src/evaluation/toy.ts'],
    lines: {
      'src/evaluation/tasks.ts': [
        ['import { winRates }', "import { countLetters } from './toy.ts';\nimport { winRates }"],
        [
          'export const taskKinds = {',
          "export const taskKinds = {\n  letters: { use: 'text', finds: [], measure: async (_model, _tokenizer, rows) => ({ metrics: { letters: countLetters(rows) }, metric: 'letters', items: [] }) },",
        ],
      ],
    },
    async works({ at }) {
      const { parseTasks, runTasks } = await at('evaluation/tasks.js');
      const options = { holdOut: 0, rows: 9, baseDirectory: process.cwd() };
      const { metrics } = await runTasks(undefined, undefined, parseTasks(['letters:poems.jsonl']), options);
      assert.deepEqual(metrics, { 'poems.jsonl/letters': 15 });
    },
  },
  'an analysis of depth': {
    files: ['src/analysis/toy.ts'],
    lines: { 'src/analysis/index.ts': [imported('outlier'), ['analyses = {', 'analyses = { outlier,']] },
    async works({ at, saved }) {
      const { analyze } = await at('analysis/analyze.js');
      const sequence = { tokens: Int32Array.of(1, 2, 3), trained: Uint8Array.of(0, 1, 1) };
      const { outlier, streamRms } = await analyze(await saved('analysed', {}), [sequence]);
      assert.equal(outlier.length, 3);
      assert.ok(outlier.every((largest, depth) => largest > streamRms[depth]));
    },
  },
  'a model family': {
    files: ['src/model/families/toy.ts'],
    lines: { 'src/model/families/index.ts': [imported('toyFamily'), ['= [llama', '= [toyFamily, llama']] },
    async works({ saved }) {
      const family = { name: 'toy', settings: {} };
      assert.deepEqual((await saved('family', { family })).config.family, family);
      assert.equal(JSON.parse(await readFile('family/config.json', 'utf8')).model_type, 'toy');
    },
  },
  'a norm placement': {
    files: ['src/model/placements/toy.ts'],
    lines: {
      'src/model/placements/index.ts': [
        imported('toyPlacement'),
        ['= [pre, post, mix', '= [toyPlacement, pre, post, mix'],
      ],
    },
    async works({ saved, command }) {
      const norm = { name: 'toy', settings: {} };
      assert.deepEqual((await saved('placement', { norm })).config.norm, norm);
      assert.match((await command('inspect', 'placement')).out, /2 layers between two norms/);
    },
  },
  'a kind of norm': {
    files: ['src/model/norm-kinds/toy.ts'],
    lines: { 'src/model/norm-kinds/index.ts': [imported('toyNorm'), ['= [rms,', '= [rms, toyNorm,']] },
    async works({ saved }) {
      assert.equal((await saved('norm-kind', { normKind: 'toy' })).config.normKind, 'toy');
    },
  },
  'a fused operation': {
    files: ['src/tensor/fused/toy.ts'],
    lines: {},
    async works({ slope }) {
      assert.deepEqual(await slope('portable'), { y: '0.693', dx: '0.500' });
    },
  },
  'a kernel family': {
    files: ['src/tensor/backends/kernels/toy.ts'],
    lines: {
      'src/tensor/backends/kernels/index.ts': [
        imported('type ToyKernels'),
        ['export interface KernelFamilies {', 'export interface KernelFamilies {\n  toy: ToyKernels;'],
      ],
    },
    async works({ slope }) {
      assert.deepEqual(await slope('toy'), { y: '0.693', dx: '0.500' });
    },
  },
  'a backend': {
    files: ['src/tensor/backends/toy.ts'],
    lines: { 'src/tensor/backends/index.ts': [imported('toy'), ['tensorflow];', 'tensorflow, toy];']] },
    async works({ command }) {
      assert.match((await command('doctor')).out, /^toy +ready: a toy$/m);
      assert.equal((await command('toy', '--backend', 'toy', '--out', 'toys')).status, 0);
    },
  },
  'a command': {
    files: ['src/cli/commands/toy.ts'],
    lines: {
      'src/cli/commands/index.ts': [
        imported('addToyCommand'),
        ['  addNodeCommand,\n]', '  addNodeCommand,\n  addToyCommand,\n]'],
      ],
    },
    async works({ command }) {
      assert.deepEqual(await command('hello'), { status: 0, out: 'hello\n' });
    },
  },
  'a metric: its name, direction and meaning': {
    files: [],
    lines: {
      'src/evaluation/metrics.ts': [
        ['const kinds = {', "const kinds = {\n  letters: { label: 'letters', better: 'higher' },"],
      ],
    },
    async works({ at }) {
      const { metricKind } = await at('evaluation/metrics.js');
      assert.deepEqual(metricKind('poems/letters'), { label: 'letters', better: 'higher' });
    },
  },
  'a recipe': {
    files: ['pipelines/toy.yaml'],
    lines: {},
    async works({ command }) {
      const { status, out } = await command('check', 'toy');
      assert.equal(status, 0);
      assert.match(out, /^letters\S* +toy +to run/m);
    },
  },
  'a dataset': {
    files: ['datasets/toy.yaml'],
    lines: {},
    async works({ at }) {
      const { openDataset } = await at('data/dataset.js');
      assert.equal((await openDataset('toy', 'text', { baseDirectory: process.cwd() })).rows.length, 2);
    },
  },
  'a task': {
    files: ['tasks/toy.yaml'],
    lines: {},
    async works({ at }) {
      const { loadTask, taskNames } = await at('data/tasks/task-file.js');
      assert.ok((await taskNames(process.cwd())).includes('toy'));
      assert.equal((await loadTask('toy', process.cwd())).task.kind, 'perplexity');
    },
  },
};

/** Writes the files that the tests above read. */
export async function writeSamples() {
  await writeFile('poems.jsonl', '{"haiku": ["old pond", "frog"]}\n{"haiku": ["snow"]}\n');
}

/** The replacement that imports an addition before the first import of a file. */
function imported(name) {
  return [/^import /m, `import { ${name} } from './toy.ts';\nimport `];
}
