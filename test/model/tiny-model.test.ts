import { describe, expect, test } from 'vitest';
import type { ModelConfig, NormPlacement } from '../../src/model/config.ts';
import { headOf, hiddenStates } from '../../src/model/model.ts';
import { checkpointTensors } from '../../src/model/parameters.ts';
import { readModel } from '../../src/model/weights.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { tokenLogProbs } from '../../src/tensor/fused/token-log-probs.ts';
import { scope } from '../../src/tensor/scope.ts';

/** The tiny model of `oracles.md` B2: parameters by formula, float64 reference values. */
const order = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

function tinyConfig(norm: NormPlacement, postLayers: number): ModelConfig {
  return {
    vocabSize: 11,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 3,
    heads: 2,
    kvHeads: 2,
    headDim: 4,
    ropeTheta: 10000,
    rmsNormEps: 1e-6,
    maxLength: 16,
    tieWordEmbeddings: false,
    norm,
    postLayers,
  };
}

function parameterIndex(name: string, config: ModelConfig): number {
  if (name === 'model.embed_tokens.weight') return 0;
  if (name === 'model.norm.weight') return 28;
  if (name === 'lm_head.weight') return 29;
  const layer = Number(name.split('.')[2]);
  const matrix = order.findIndex((part) => name.includes(`.${part}.`));
  if (matrix >= 0) return 1 + 9 * layer + matrix;
  const first = layer < config.postLayers ? 'post_attention_layernorm' : 'input_layernorm';
  return (name.includes(first) ? 8 : 9) + 9 * layer;
}

const cases = [
  { norm: 'pre', postLayers: 0, loss: 2.1007758329 },
  { norm: 'post', postLayers: 3, loss: 2.0088854644 },
  { norm: 'mix', postLayers: 1, loss: 2.0113335074 },
  { norm: 'mix', postLayers: 2, loss: 2.0095845892 },
] as const;

describe('tiny model', () => {
  test.each(cases)(
    '$norm with $postLayers Post-LN layers has the published loss',
    async ({ norm, postLayers, loss }) => {
      const backend = new PortableBackend('f64');
      const config = tinyConfig(norm, postLayers);
      expect(checkpointTensors(config)).toHaveLength(30);
      const model = await readModel(config, backend, async (name, into) => {
        const p = parameterIndex(name, config);
        const isNorm = name.includes('norm');
        for (let k = 0; k < into.length; k++) {
          into[k] = isNorm ? 1 + 0.05 * Math.cos(0.9 * k + 0.4 * p) : 0.2 * Math.sin(1.3 * k + 0.7 * p + 0.1);
        }
      });
      const tokens = Int32Array.of(1, 4, 7, 2, 9);
      const input = { tokens, positions: Int32Array.of(0, 1, 2, 3, 4), segments: Int32Array.of(0, 5) };
      const logProbs = scope(
        () => tokenLogProbs(hiddenStates(model, input), headOf(model), Int32Array.of(4, 7, 2, 9, -1)),
        { adopt: false },
      );
      const values = await backend.read(logProbs);
      expect(-values.reduce((a, b) => a + b, 0) / 4).toBeCloseTo(loss, 6);
      const logits = scope(() => linear(hiddenStates(model, input), headOf(model)), { adopt: false });
      expect(logits.shape).toEqual([5, 11]);
    },
  );
});
