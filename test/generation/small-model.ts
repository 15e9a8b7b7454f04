import { initialiseModel } from '../../src/model/initialise.ts';
import type { Model } from '../../src/model/model.ts';
import { withPlacement } from '../../src/model/norm.ts';
import { presetConfig } from '../../src/model/presets.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';

/** Three layers of both kinds and 19 tokens, with weights so large that texts vary. */
export async function smallModel(backend: Backend): Promise<Model> {
  const base = { ...presetConfig('1m'), vocabSize: 19, hiddenSize: 16, intermediateSize: 24, layers: 3, heads: 4 };
  const config = withPlacement({ ...base, kvHeads: 2, headDim: 4 }, 'mix', { postLayers: 1 });
  return initialiseModel(config, backend, 5, { std: 0.3, embeddingStd: 0.6 });
}
