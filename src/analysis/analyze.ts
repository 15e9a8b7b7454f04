import { groupsOfTokens, packSequences, type Sequence, trainedTokensOf } from '../data/batch.ts';
import { hiddenStates, type Model } from '../model/model.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Analysis, ForwardPass } from './analysis.ts';
import { analyses, type Findings } from './index.ts';

/** How a model uses its depth, on some text. */
export interface DepthAnalysis extends Findings {
  /** The norm placement: its name, and its settings such as `postLayers`. */
  placement: { norm: string; [setting: string]: string | number };
  /** Tokens that are predicted. */
  tokens: number;
  /** Mean cross-entropy in nats a token. */
  loss: number;
}

/** Of the residual streams at a time; the activations that gradients need are some ten times as many. */
const streamElements = 2 ** 24;

const rowsInMemory = ({ config: { layers, hiddenSize } }: Model): number =>
  Math.floor(streamElements / ((layers + 1) * hiddenSize));

/**
 * Runs all analyses on the sequences, some `rowsAtOnce` tokens in a pass. In forward passes that takes about 1.1 for
 * the streams, 3 for the gradients and (layers + 1) / 2 for the removals; exits take the head once a layer.
 */
export async function analyze(
  model: Model,
  sequences: readonly Sequence[],
  rowsAtOnce = rowsInMemory(model),
): Promise<DepthAnalysis> {
  const { norm } = model.config;
  const tokens = sequences.reduce((sum, sequence) => sum + trainedTokensOf(sequence), 0);
  const running = Object.entries<Analysis<unknown>>(analyses).map(
    ([name, analysis]) => [name, analysis.begin(model)] as const,
  );
  try {
    for (const group of groupsOfTokens(sequences, rowsAtOnce, (sequence) => sequence.tokens.length)) {
      const pass = await forward(model, group, tokens);
      try {
        for (const [, analysis] of running) await analysis.add(pass);
      } finally {
        for (const { tensor } of pass.streams) tensor.release();
      }
    }
    const found = [];
    for (const [name, analysis] of running) found.push([name, await analysis.result()]);
    const findings = Object.fromEntries(found) as Findings;
    const placement = { norm: norm.name, ...norm.settings };
    return { placement, tokens, loss: findings.exits.loss.at(-1)!, ...findings };
  } finally {
    for (const [, analysis] of running) analysis.release?.();
  }
}

async function forward(model: Model, sequences: readonly Sequence[], totalTokens: number): Promise<ForwardPass> {
  const batch = packSequences(sequences);
  const tensors: Tensor[] = [];
  scope(() => void hiddenStates(model, batch, { visit: (stream) => tensors.push(stream.retain()) }));
  const streams = [];
  for (const tensor of tensors) streams.push({ tensor, values: await model.backend.read(tensor) });
  return { sequences, batch, streams, totalTokens };
}
