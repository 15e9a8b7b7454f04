import type { z } from 'zod';
import type { Tensor } from '../../tensor/tensor.ts';
import type { ModelConfig, NormSettings } from '../config.ts';
import type { OfHeads } from '../head-norms.ts';
import type { Norm } from '../norm-kinds/norm-kind.ts';
import type { Part } from '../part.ts';

/** A sub-layer F (attention or MLP) of x [rows, hidden]: F(x), or F(N(x)) with a norm in front, in one operation. */
export type SubLayer = (x: Tensor, norm?: Norm) => Tensor;

/** How a sub-layer is joined to the residual stream, with the norms and other tensors that this takes. */
export interface Junction<Norms extends string = string, Own extends string = string> {
  /** Its norms by the names that `join` uses: what each is called in a checkpoint, below the layer. */
  readonly norms: Readonly<Record<Norms, string>>;
  /** Other tensors of its own, by the names that `join` uses. */
  readonly parts?: Readonly<Record<Own, Part>>;
  /** The equation, for a sub-layer F of the residual stream x [rows, hidden]. */
  join(x: Tensor, norms: Readonly<Record<Norms, Norm>>, f: SubLayer, own: Readonly<Record<Own, Tensor>>): Tensor;
}

/** How one layer joins its two sub-layers to the residual stream. */
export interface Wiring {
  /** For people: `Pre-LN`. */
  readonly kind: string;
  readonly attention: Junction;
  readonly mlp: Junction;
  /** Norms inside attention, of each head [headDim]: what they are called, below the layer. */
  readonly headNorms?: OfHeads<string>;
  /** Are outputs of sub-layers added to the residual stream as they are? Scaled initialisation makes those smaller. */
  readonly addsOutputs?: true;
  /** Factors on the standard deviations that projections begin with. */
  readonly gain?: Readonly<Partial<Record<'v' | 'o' | 'gate' | 'up' | 'down', number>>>;
  /** Where backends have a kernel of one whole decoding step of a layer that is wired so: which. */
  readonly decodingKernel?: 'pre' | 'post';
}

/**
 * A norm placement: which wiring each layer of a model has. Several may have the same tensors, such as `pre` and `lns`:
 * then a file has to say which of them it is, unless it is the Pre-LN of its family.
 */
export interface Placement {
  readonly name: string;
  /** For people, as in `Norm placement: …`. */
  describe(settings: NormSettings, layers: number): string;
  /** What a person can set of it, as keys of a stage. */
  readonly keys: z.ZodRawShape;
  /** Settings for a model of so many layers, out of the values of `keys`. @throws SettingProblem */
  resolve(values: Readonly<Record<string, unknown>>, layers: number): NormSettings;
  /** The settings as config.json and the metadata of weights say them, under the names of the authors' code. */
  write(settings: NormSettings, layers: number): Readonly<Record<string, number>>;
  /** The settings out of what config.json or metadata say. @throws SettingProblem for what contradicts the placement */
  read(said: Readonly<Record<string, unknown>>, layers: number): NormSettings;
  /** All settings that a model of so many layers could have: its tensors' names tell which. */
  candidates(layers: number): Iterable<NormSettings>;
  /** What a norm between the embedding and the first layer is called, where there is one. */
  readonly embeddingNorm?: string;
  /** Layer `layer`, from 0. */
  wiring(layer: number, config: ModelConfig): Wiring;
}
