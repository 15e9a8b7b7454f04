import type { Problem } from '../../errors.ts';
import type { Rotary } from '../../tensor/backends/kernels/self-attention.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { ModelConfig } from '../config.ts';
import type { OfHeads } from '../head-norms.ts';
import type { Part } from '../part.ts';
import type { KeyRule } from './key-rules.ts';
import type { Json } from './values.ts';

/** What config.json tells of an architecture besides its norm placement and what reads its final hidden states. */
export type Architecture = Omit<ModelConfig, 'norm' | 'head'>;

/**
 * The steps of self-attention, of which an equation is composed. Queries, keys and values are the columns of one
 * matrix, in this order, headDim columns for each head.
 */
export interface AttentionSteps {
  /** x [rows, hidden] → [rows, (heads + 2·kvHeads)·headDim] */
  qkv(x: Tensor): Tensor;
  /**
   * softmax(R(q)·R(k)ᵀ / √headDim)·v, causal in each sequence, R the rotary embedding, after the norms of heads where
   * there are some → [rows, heads·headDim]
   */
  attend(qkv: Tensor): Tensor;
  /** [rows, heads·headDim] → [rows, hidden] */
  o(attended: Tensor): Tensor;
}

/** Self-attention of one layer, with the tensors that it has besides its projections. */
export interface Attention<Own extends string = string> {
  /** Its own tensors, such as biases, by the names that `equation` uses. */
  readonly parts: Readonly<Record<Own, Part>>;
  /** Norms of each head of its queries, keys or values: what they are called in a checkpoint, below the layer. */
  readonly headNorms?: OfHeads<string>;
  /**
   * Self-attention of x [rows, hidden], which a norm has passed where the placement puts one in front. Left out, it is
   * o(attend(qkv(x))), for which backends have kernels.
   */
  equation?(x: Tensor, own: Readonly<Record<Own, Tensor>>, steps: AttentionSteps): Tensor;
}

/** A family of models: how config.json tells its architecture, and what its attention has of its own. */
export interface Family {
  /** In `ModelConfig`. */
  readonly name: string;
  /** For people, as in `the model is read as a …`. */
  readonly title: string;
  /** Values of `model_type` in config.json. */
  readonly modelTypes: readonly string[];
  /** Every key of config.json that changes what the family's own code computes and is no size. */
  readonly keys: Readonly<Record<string, KeyRule>>;
  /** Reads the keys that `keys` has let pass; tells `problems` what else is wrong. */
  read(json: Json, problems: Problem[]): Architecture;
  /** The keys by which `read` and transformers know the architecture, `model_type` and `architectures` with them. */
  write(config: ModelConfig): Json;
  /**
   * How queries and keys of layer `layer` (from 0) turn with their position; undefined where they do not (NoPE,
   * Kazemnejad et al. 2023). Not asked for before the sizes of a model are known to be those of its weights.
   */
  rotary(layer: number, config: ModelConfig): Rotary | undefined;
  /** Layer `layer`, from 0. */
  attention(layer: number, config: ModelConfig): Attention;
}
