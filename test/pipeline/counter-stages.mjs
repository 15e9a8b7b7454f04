import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { given } from '../../dist/config/conditions.js';
import { RequestError, RunError } from '../../dist/errors.js';
import { RandomStream } from '../../dist/random.js';
import { pause } from '../../dist/stages/stage.js';

const keys = {
  steps: z.int().positive().default(10).describe('numbers to draw'),
  scale: z.number().default(1).describe('factor of each number'),
  parts: z.int().positive().default(1).describe('numbers of a step, with a pause between two'),
  kind: z.enum(['plain', 'fancy']).default('plain').describe('kind of counting'),
  pause: z.number().min(0).default(0).describe('milliseconds that a number takes'),
  holdAt: z
    .int()
    .optional()
    .describe('step, or 0 for the opening, in which it waits until there is a file `go` in its folder')
    .meta({ changesResult: false }),
  failAt: z.int().optional().describe('step at which it throws'),
  refuseAt: z.int().optional().describe('step at which it throws before anything has changed'),
  requestAt: z.int().optional().describe('step at which the request turns out to be wrong'),
  evalFailAt: z.int().optional().describe('step whose evaluation throws'),
  nothingHeldOut: z.boolean().default(false).describe('evaluations give nothing'),
  sampleFails: z.boolean().default(false).describe('samples throw'),
  dieAt: z.int().optional().describe('step at which the process is killed'),
  optimum: z.number().optional().describe('scale with the lowest held-out loss'),
  divergeAbove: z.number().optional().describe('scale above which training diverges after its first step'),
  evalEvery: z.int().optional().describe('steps between evaluations'),
  sampleEvery: z.int().optional().describe('steps between samples').meta({ changesResult: false }),
  saveEvery: z.int().optional().describe('steps between saved states').meta({ changesResult: false }),
  best: z
    .string()
    .optional()
    .describe('metric')
    .meta({ condition: given('evalEvery') }),
  patience: z
    .int()
    .optional()
    .describe('evaluations')
    .meta({ condition: given('best') }),
  losses: z.array(z.number()).optional().describe('what the evaluations give, in order'),
};

/** Waits until there is a file, and takes it away. */
async function taken(file) {
  while (!existsSync(file)) await setTimeout(5);
  rmSync(file);
}

/** Draws random numbers and adds them up: a stage with state, but without tensors. */
const count = {
  name: 'count',
  summary: 'draw numbers and add them up',
  isRandom: true,
  readsOnOpen: true,
  schema: z.strictObject({ ...keys, from: z.string().optional(), data: z.string().optional() }),
  inputs: { from: { kind: 'model', optional: true } },
  result: 'model',
  datasets: { data: { use: 'text', optional: true } },
  async open(config, run, from) {
    appendFileSync(join(run.directory, 'opened.txt'), `${process.pid} ${process.ppid}\n`);
    if (config.holdAt === 0) await taken(join(run.directory, 'go'));
    if (from) {
      const { step, part, sum, counter } = JSON.parse(readFileSync(join(from, 'count.json'), 'utf8'));
      return { step, part, sum, stream: new RandomStream(run.seed, 'count', counter) };
    }
    const input = run.inputs.from?.[0];
    const sum = input ? JSON.parse(readFileSync(join(input.directory, 'config.json'), 'utf8')).sum : 0;
    return { step: 0, part: 0, sum, stream: new RandomStream(run.seed, 'count') };
  },
  async *run(config, state, run) {
    while (state.step < config.steps) {
      if (state.step + 1 === config.refuseAt) throw new RunError('the counter refuses', { stateIsWhole: true });
      for (; state.part < config.parts; state.part++) {
        if (state.part > 0) yield pause;
        const isMiddle = state.part === config.parts >> 1;
        if (isMiddle && state.step + 1 === config.holdAt) await taken(join(run.directory, 'go'));
        if (config.pause) await setTimeout(config.pause);
        state.sum += config.scale * state.stream.uniform();
      }
      state.part = 0;
      state.step++;
      if (state.step === config.requestAt) throw new RequestError({ where: 'data', message: 'a row is wrong' });
      if (config.scale > config.divergeAbove) throw new RunError('the loss is NaN', { diverged: true });
      if (state.step === config.failAt) throw new Error('the counter was told to fail');
      if (state.step === config.dieAt && !existsSync(join(run.directory, 'died.txt'))) {
        writeFileSync(join(run.directory, 'died.txt'), '');
        process.kill(process.pid, 'SIGKILL');
      }
      yield { step: state.step, totalSteps: config.steps, loss: 1 / state.step, tokens: 100 };
    }
    return { sum: state.sum };
  },
  async save({ step, part, sum, stream }, directory) {
    writeFileSync(join(directory, 'count.json'), JSON.stringify({ step, part, sum, counter: stream.counter }));
  },
  async finish(_config, { step, sum }, directory) {
    writeFileSync(join(directory, 'config.json'), JSON.stringify({ step, sum }));
  },
  async evaluate(config, { step, sum }) {
    if (config.nothingHeldOut) return {};
    if (step === config.evalFailAt) throw new Error('nothing can be measured');
    if (config.optimum !== undefined) return { loss: step === 0 ? 100 : Math.abs(config.scale - config.optimum) };
    const value = config.losses?.[step / config.evalEvery - 1] ?? 1 / step;
    return { loss: value, calibrationError: value, accuracy: value, endRate: 1, sum };
  },
  heldOut: () => ['loss', 'calibrationError', 'accuracy', 'endRate'],
  async sample(config, { step }) {
    if (config.sampleFails) throw new Error('nothing can be sampled');
    return [{ prompt: 'step', completion: String(step) }];
  },
};

/** Gathers what every variant and seed came to. */
const gather = {
  name: 'gather',
  summary: 'list what was counted',
  isRandom: false,
  readsOnOpen: false,
  schema: z.strictObject({ of: z.array(z.string()).describe('what to gather') }),
  inputs: { of: { kind: 'model', many: true } },
  result: 'measurements',
  datasets: {},
  async open(_config, run) {
    return run.inputs.of.map(({ name, variant, seed, directory }) => {
      const { sum } = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
      return { name, variant, seed, sum };
    });
  },
  async *run(_config, rows) {
    yield { step: 1, totalSteps: 1 };
    return { rows: rows.length };
  },
  async finish(_config, rows, directory) {
    writeFileSync(join(directory, 'rows.json'), JSON.stringify(rows));
  },
};

export const stages = [count, gather];
