/**
 * The architecture of a Llama-style decoder. Sizes are counts; every field is resolved (no shares, no defaults left).
 */
export interface ModelConfig {
  vocabSize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  /** Key-value heads; equal to `heads` without grouped-query attention. */
  kvHeads: number;
  headDim: number;
  ropeTheta: number;
  rmsNormEps: number;
  /** Longest sequence the model is meant for. */
  maxLength: number;
  tieWordEmbeddings: boolean;
  family: FamilyChoice;
  norm: NormChoice;
  /** What every norm computes, by its name in `src/model/norm-kinds`; RMSNorm if left out. */
  normKind?: string;
  /**
   * What reads the final hidden states: one score of the last token (reward models) or, left out, the vocabulary's
   * logits.
   */
  head?: 'score';
}

/** A family of models by its name in `src/model/families`, and what it says of itself that is no size. */
export interface FamilyChoice {
  readonly name: string;
  readonly settings: FamilySettings;
}

/** Settings of a family, such as which layers do not rotate, resolved for the model's layers. */
export type FamilySettings = Readonly<Record<string, number | boolean | readonly number[]>>;

/** A norm placement by its name in `src/model/placements`, and its own settings. */
export interface NormChoice {
  readonly name: string;
  readonly settings: NormSettings;
}

/** Settings of a norm placement, such as `postLayers` of `mix`, resolved for the model's layers. */
export type NormSettings = Readonly<Record<string, number>>;
