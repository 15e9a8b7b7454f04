import type { z } from 'zod';
import type { Batch, Sequence } from '../data/batch.ts';
import type { Model } from '../model/model.ts';
import type { HostArray } from '../tensor/backends/backend.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Sequences that went through a model together, and what became of their rows on the way. */
export interface ForwardPass {
  sequences: readonly Sequence[];
  batch: Batch;
  /** The residual stream [rows, hidden] after the embedding and after each layer: layers + 1 of them. */
  streams: readonly { tensor: Tensor; values: HostArray }[];
  /** Tokens that are predicted in this pass and in all others: what sums of losses are divided by. */
  totalTokens: number;
}

/** Something that is measured of a model layer by layer. */
export interface Analysis<Found> {
  /** Heads its column in a table. */
  readonly label: string;
  /** For those who meet it for the first time. */
  readonly meaning: string;
  /** What it finds, as it is read from a file. */
  readonly found: z.ZodType<Found>;
  /** `base` has the same tensors as the model; it is for analyses that compare the two, and may be left out. */
  begin(model: Model, base: Model | undefined): RunningAnalysis<Found>;
  /** One number of the embedding and of each layer, [layers + 1], undefined where there is none; [] for no numbers. */
  perLayer(found: Found): readonly (number | undefined)[];
}

/** An analysis under way: sums over the passes that it has seen. */
export interface RunningAnalysis<Found> {
  add(pass: ForwardPass): void | Promise<void>;
  /** Asked for once, after the last pass. */
  result(): Found | Promise<Found>;
  /** Gives back what it holds on the backend. */
  release?(): void;
}
