// The rows of the comparison: what is measured, in which programs, and mixtune's goals.
//
// Goals: `ratio` is relative to the speed of the row's fastest peer, `memory` relative to its peak resident memory,
// `gemmShare` is a share of the fastest 2048³ product in any program of the row, and `seconds` is an absolute time.
import { environment, models } from './environment.mjs';
import { freshModel } from './fresh-model.mjs';
import { mixtuneBench, mixtuneStage, peer, servedPeer } from './programs.mjs';

const smol = `${models}/SmolLM2-135M`;

function training(name, title, { model, batch = 8, length = 256, precision = 'bf16', steps = 4, goal }) {
  const shape = ['--batch', String(batch), '--length', String(length), '--precision', precision];
  const torch = (...flags) =>
    servedPeer('torch_train.py', ['--model', model, ...shape, '--steps', String(steps), ...flags]);
  const which = model === smol ? [smol] : ['--preset', model];
  return {
    ...{ name, title, goal, unit: 'tokens/s' },
    speed: ({ tokensPerSecond }) => tokensPerSecond,
    peers: { 'PyTorch eager': () => torch(), 'PyTorch compile': () => torch('--compile') },
    mixtune: () => mixtuneBench('train', ...which, ...shape, '--steps', String(steps + 1)),
  };
}

const shapeOf = (batch, promptTokens, newTokens) => [
  ...['--batch', String(batch)],
  ...['--prompt-tokens', String(promptTokens), '--new-tokens', String(newTokens)],
];

function generation(name, title, { model, goal }) {
  const shape = shapeOf(16, 128, 64);
  const torch = (...flags) => servedPeer('torch_generate.py', ['--model', model, ...shape, ...flags]);
  const which = model === smol ? [smol] : ['--preset', model];
  return {
    ...{ name, title, goal, unit: 'tokens/s' },
    speed: ({ tokensPerSecond }) => tokensPerSecond,
    peers: { 'transformers eager': () => torch(), 'transformers compile': () => torch('--compile') },
    mixtune: () => mixtuneBench('generate', ...which, ...shape),
  };
}

/** SmolLM2 with batch 1 against llama.cpp. Types other than bf16 are only shown; the ratio does not refer to them. */
function single(name, title, { promptTokens, newTokens, speed, types, goal }) {
  const lengths = ['--prompt-tokens', String(promptTokens), '--new-tokens', String(newTokens)];
  const llama = (type, ...flags) =>
    servedPeer('llama_cpp_speed.py', ['--model', `${smol}.${type}.gguf`, ...lengths, ...flags]);
  return {
    ...{ name, title, goal, unit: 'tokens/s', speed },
    peers: {
      'llama.cpp bf16': () => llama('bf16'),
      'llama.cpp bf16, flash attention': () => llama('bf16', '--flash-attention'),
    },
    others: Object.fromEntries(types.map((type) => [`llama.cpp ${type}`, () => llama(type)])),
    mixtune: () => mixtuneBench('generate', smol, ...shapeOf(1, promptTokens, newTokens)),
  };
}

const prefill = ({ prefillTokensPerSecond }) => prefillTokensPerSecond;
const decode = ({ decodeTokensPerSecond }) => decodeTokensPerSecond;

/** 71m with a constant number of tokens: the cost of a token should grow only by the work of attention. */
function lengthRow(length) {
  const shape = ['--batch', String(4096 / length), '--length', String(length)];
  return {
    name: `length-${length}`,
    title: `training 71m, ${4096 / length} × ${length}`,
    unit: 'tokens/s',
    speed: ({ tokensPerSecond }) => tokensPerSecond,
    peers: {},
    mixtune: () => mixtuneBench('train', '--preset', '71m', ...shape, '--steps', '2'),
  };
}

/** A step of TRL's trainer against a step of ours; `seconds` names the time compared in the results. */
function alignment(name, title, { rows, flags, trl, variables, steps = 3, seconds }) {
  const data = `${models}/${rows}`;
  return {
    ...{ name, title, unit: 'steps/min', slow: true, goal: { ratio: 4 } },
    speed: (result) => 60 / result[seconds],
    peers: {
      [`TRL ${name.toUpperCase()}`]: async () => {
        const parameters = [name, '--model', smol, '--rows', data, '--steps', String(steps), ...trl];
        return peer('trl_speed.py', parameters, variables);
      },
    },
    mixtune: () => mixtuneStage(name, ['--from', smol, '--data', data, ...flags], steps),
  };
}

export const rows = [
  training('train-71m', 'training 71m, 8 × 256, bf16', {
    model: '71m',
    goal: { ratio: 1.6, gemmShare: 0.8, memory: 0.8 },
  }),
  training('train-9m', 'training 9m, 8 × 256, bf16', { model: '9m', steps: 10, goal: { ratio: 2.2, memory: 0.8 } }),
  training('train-20m', 'training 20m, 8 × 256, bf16', { model: '20m', steps: 8, goal: { ratio: 2.2, memory: 0.8 } }),
  training('train-smollm2', 'training SmolLM2-135M, 4 × 512, bf16', {
    ...{ model: smol, batch: 4, length: 512, steps: 2 },
    goal: { ratio: 1.6, memory: 0.8 },
  }),
  training('train-71m-f32', 'training 71m, 8 × 256, f32', {
    ...{ model: '71m', precision: 'f32', steps: 2 },
    goal: { ratio: 2, memory: 0.8 },
  }),
  generation('generate-71m', 'generation 71m, 16 × (128 + 64)', { model: '71m', goal: { ratio: 6 } }),
  generation('generate-smollm2', 'generation SmolLM2-135M, 16 × (128 + 64)', { model: smol, goal: { ratio: 6 } }),
  single('decode', 'decoding SmolLM2-135M, batch 1, 128 + 64', {
    ...{ promptTokens: 128, newTokens: 64, speed: decode, types: ['f16', 'q8_0'] },
    goal: { ratio: 1.3 },
  }),
  single('prefill-128', 'prefill SmolLM2-135M, 128 tokens', {
    ...{ promptTokens: 128, newTokens: 1, speed: prefill, types: [] },
    goal: { ratio: 1.2 },
  }),
  single('prefill-1024', 'prefill SmolLM2-135M, 1024 tokens', {
    ...{ promptTokens: 1024, newTokens: 1, speed: prefill, types: [] },
    goal: { ratio: 1.2 },
  }),
  {
    ...{ name: 'start', title: 'mixtune sft, 71m, to the end of the first step', unit: 's' },
    goal: { seconds: 1.5 },
    speed: ({ firstStepSeconds }) => firstStepSeconds,
    lowerIsBetter: true,
    peers: {},
    mixtune: async () => {
      const from = await freshModel('71m');
      return mixtuneStage('sft', ['--from', from, '--data', 'town/instructions', '--batch-size', '8'], 1);
    },
  },
  ...[256, 1024, 4096].map(lengthRow),
  alignment('dpo', 'DPO SmolLM2-135M, 4 pairs of at most 512', {
    ...{ rows: 'pairs.jsonl', flags: ['--batch-size', '4'], trl: [] },
    // The whole run counts: mixtune computes the reference's log-probabilities before the first step, TRL in each.
    seconds: 'stepSeconds',
  }),
  alignment('grpo', 'GRPO SmolLM2-135M, 16 completions of 64', {
    rows: 'prompts.jsonl',
    flags: [
      ...['--batch-size', '2', '--samples-per-prompt', '8', '--max-new-tokens', '64', '--missing-eos-penalty', '0'],
      ...['--reward-function', new URL('../peers/variety.mjs', import.meta.url).pathname],
    ],
    trl: [],
    seconds: 'laterStepSeconds',
  }),
  alignment('ppo', 'PPO SmolLM2-135M, 16 completions of 64, 4 passes', {
    rows: 'prompts.jsonl',
    flags: ['--batch-size', '16', '--max-new-tokens', '64', '--reward', `${smol}-reward`, '--missing-eos-penalty', '0'],
    trl: ['--reward', `${smol}-reward`],
    variables: { PYTHONPATH: `${environment}/ppo` },
    steps: 2,
    seconds: 'laterStepSeconds',
  }),
];
