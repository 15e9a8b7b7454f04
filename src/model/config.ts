/** Where a layer's normalisation stands: before each sub-layer, after each residual add, or Post-LN first then Pre-LN. */
export type NormPlacement = 'pre' | 'post' | 'mix';

/** The architecture of a Llama-style decoder. Sizes are counts; every field is resolved (no shares, no defaults left). */
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
  norm: NormPlacement;
  /** Post-LN layers, counted from the first: 0 for `pre`, `layers` for `post`. */
  postLayers: number;
  /** What reads the final hidden states: one score of the last token (reward models) or, left out, the vocabulary's logits. */
  head?: 'score';
}

/** True where layer `index` (from 0) normalises after its residual adds. */
export function isPostLayer(config: ModelConfig, index: number): boolean {
  return index < config.postLayers;
}
