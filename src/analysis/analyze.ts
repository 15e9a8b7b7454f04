import { groupsOfTokens, packSequences, type Sequence, trainedTokensOf } from '../data/batch.ts';
import { hiddenStates, type Model } from '../model/model.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Analysis, ForwardPass, RunningAnalysis } from './analysis.ts';
import { analyses, type Findings } from './index.ts';
import { beginPruning, type Prunings } from './pruning.ts';

/** How a model uses its depth, on some text. */
export interface DepthAnalysis extends Findings {
  /** The norm placement: its name, and its settings such as `postLayers`. */
  placement: { norm: string; [setting: string]: string | number };
  /** Tokens that are predicted. */
  tokens: number;
  /** Mean cross-entropy in nats a token. */
  loss: number;
  pruning: Prunings;
}

export interface AnalyzeOptions {
  /** A model with the same tensors, such as the one that this one was trained from. */
  base?: Model | undefined;
  /** Tokens in a pass. */
  rowsAtOnce?: number;
}

/** Of the residual streams at a time; the activations that gradients need are some ten times as many. */
const streamElements = 2 ** 24;

const rowsInMemory = ({ config: { layers, hiddenSize } }: Model): number =>
  Math.floor(streamElements / ((layers + 1) * hiddenSize));

/**
 * Runs all analyses on the sequences. In forward passes that takes about 1.1 for the streams, 3 for the gradients, each
 * (layers + 1) / 2 for removing and for exchanging layers, up to twice that for pruning them in two orders, and 1.5 for
 * the entropy of attention; exits take the head once a layer.
 */
export async function analyze(
  model: Model,
  sequences: readonly Sequence[],
  { base, rowsAtOnce = rowsInMemory(model) }: AnalyzeOptions = {},
): Promise<DepthAnalysis> {
  const { norm } = model.config;
  const placement = { norm: norm.name, ...norm.settings };
  const tokens = sequences.reduce((sum, sequence) => sum + trainedTokensOf(sequence), 0);
  const running = Object.entries<Analysis<unknown>>(analyses).map(
    ([name, analysis]) => [name, analysis.begin(model, base)] as const,
  );
  try {
    const seenBy = (all: readonly RunningAnalysis<unknown>[]) =>
      showPasses(model, sequences, { rowsAtOnce, tokens }, all);
    await seenBy(running.map(([, analysis]) => analysis));
    const found = [];
    for (const [name, analysis] of running) found.push([name, await analysis.result()]);
    const findings = Object.fromEntries(found) as Findings;
    const pruning = beginPruning(model, findings);
    await seenBy([pruning]);
    const loss = findings.exits.loss.at(-1)!;
    return { placement, tokens, loss, ...findings, pruning: await pruning.result() };
  } finally {
    for (const [, analysis] of running) analysis.release?.();
  }
}

/** Sends the sequences through the model, some at a time, and shows each pass to all analyses. */
async function showPasses(
  model: Model,
  sequences: readonly Sequence[],
  { rowsAtOnce, tokens }: { rowsAtOnce: number; tokens: number },
  analyses: readonly RunningAnalysis<unknown>[],
): Promise<void> {
  for (const group of groupsOfTokens(sequences, rowsAtOnce, (sequence) => sequence.tokens.length)) {
    const pass = await forward(model, group, tokens);
    try {
      for (const analysis of analyses) await analysis.add(pass);
    } finally {
      for (const { tensor } of pass.streams) tensor.release();
    }
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
