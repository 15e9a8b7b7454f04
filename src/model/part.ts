/** One tensor of a model, told once: its place in checkpoint and memory, its beginning and its decay follow from it. */
export interface Part {
  /** In a checkpoint; of a layer, below that layer: `self_attn.q_proj.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** `linear` and `embedding` draw from a normal distribution with the standard deviation of that name. */
  readonly init: 'ones' | 'zeros' | 'linear' | 'embedding';
  /** Factor on that standard deviation; 1 if left out. */
  readonly gain?: number | undefined;
  /** Does weight decay pull it towards 0? */
  readonly decays: boolean;
  /** The matrix in memory that it is the next rows of: separate in the checkpoint, one product here. */
  readonly packed?: keyof typeof packedNames;
}

/** Matrices in memory that are several parts of a checkpoint, by their names below a layer. */
export const packedNames = {
  qkv: 'self_attn.qkv_proj.weight',
  gateUp: 'mlp.gate_up_proj.weight',
} as const;
