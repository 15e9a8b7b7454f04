import { afterAll, describe, expect, test } from 'vitest';
import type { Sequence } from '../../src/data/batch.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import type { LayerWeights } from '../../src/model/layer-weights.ts';
import { type Model, releaseModel, type Trainable } from '../../src/model/model.ts';
import { copyModel } from '../../src/model/weights.ts';
import { RandomStream } from '../../src/random.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { add, matmul, mul } from '../../src/tensor/primitives.ts';
import { fromHost, scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { languageModelLoss, meanLoss } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';

/**
 * What training takes from a list of trainables, and a model from the weights of its layers, is enough to add low-rank
 * adapters (Hu et al. 2021, LoRA): W + s·B·A for one matrix of each sub-layer, told here and nowhere else.
 */
interface Adapter {
  /** [rank, in] and [out, rank]. */
  a: Tensor;
  b: Tensor;
}

const [rank, scale] = [2, 0.5];
/** Of each layer, for its attention's o and its MLP's down. */
type Adapters = readonly Record<'attention' | 'mlp', Adapter>[];

function newAdapters({ backend, layers }: Model): Adapters {
  const random = new RandomStream(7, 'adapters');
  const drawn = (shape: [number, number]): Tensor =>
    fromHost(
      backend,
      Float64Array.from({ length: shape[0] * shape[1] }, () => 0.2 * random.normal()),
      shape,
    );
  const adapterOf = ({ shape: [rows, columns] }: Tensor): Adapter => ({
    a: drawn([rank, columns!]),
    b: drawn([rows!, rank]),
  });
  return layers.map((layer) => {
    const { attention, mlp } = layer.weights();
    return { attention: adapterOf(attention.o), mlp: adapterOf(mlp.down) };
  });
}

const tensorsOf = (adapters: Adapters[number]): Tensor[] => Object.values(adapters).flatMap(({ a, b }) => [a, b]);

/** The model with the adapters on; it shares the weights of the one without them. */
function withAdapters(model: Model, adapters: Adapters): Model {
  const layers = model.layers.map((layer, index) => {
    const own = adapters[index]!;
    const plus = (w: Tensor, { a, b }: Adapter): Tensor => add(w, mul(matmul(b, a), scale));
    const weights = (): LayerWeights => {
      const { attention, mlp, ...others } = layer.weights();
      return {
        ...others,
        attention: { ...attention, o: plus(attention.o, own.attention) },
        mlp: { ...mlp, down: plus(mlp.down, own.mlp) },
      };
    };
    return { tensors: [...layer.tensors, ...tensorsOf(own)], weights };
  });
  return { ...model, layers };
}

const trainablesOf = (adapters: Adapters): Map<string, Trainable> =>
  new Map(
    adapters.flatMap(tensorsOf).map((tensor, i): [string, Trainable] => [`adapter.${i}`, { tensor, decays: false }]),
  );

const config: ModelConfig = {
  vocabSize: 37,
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 8,
  ropeTheta: 10000,
  rmsNormEps: 1e-5,
  maxLength: 64,
  tieWordEmbeddings: false,
  family: { name: 'llama', settings: {} },
  norm: { name: 'mix', settings: { postLayers: 1 } },
};

const random = new RandomStream(3, 'rows');
const rows = [9, 5, 12].map(
  (length): Sequence => ({
    tokens: Int32Array.from({ length }, () => random.integer(config.vocabSize)),
    trained: new Uint8Array(length).fill(1, 1),
  }),
);

const options = {
  lr: 1e-2,
  minLr: 0,
  warmup: 0,
  schedule: 'constant' as const,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clip: 1,
};

const { available } = await nativeAvailability();
const backends: { name: string; open: () => Promise<Backend>; bound: number }[] = [
  { name: 'portable', open: async () => new PortableBackend('f64'), bound: 1e-6 },
  ...(available
    ? [{ name: 'native', open: () => createNativeBackend({ precision: 'f32' }) as Promise<Backend>, bound: 1e-4 }]
    : []),
];

describe.each(backends)('low-rank adapters on $name', ({ open, bound }) => {
  const opened = open();
  afterAll(async () => (await opened).dispose());

  const readAll = async (tensors: Iterable<Tensor>): Promise<number[][]> => {
    const values: number[][] = [];
    for (const tensor of tensors) values.push([...(await tensor.backend.read(tensor))]);
    return values;
  };

  /** The loss and the gradients of the adapters, in the order of their tensors. */
  async function gradientsOf(base: Model, adapters: Adapters, recompute: boolean) {
    const optimizer = newOptimizer(withAdapters(base, adapters), { trainables: trainablesOf(adapters), recompute });
    const { loss } = await languageModelLoss(optimizer, [rows.slice(0, 2), rows.slice(2)]);
    const gradients = await readAll(optimizer.gradients.values());
    releaseOptimizer(optimizer);
    return { loss, gradients };
  }

  const releaseAll = (base: Model, adapters: Adapters): void => {
    for (const tensor of adapters.flatMap(tensorsOf)) tensor.release();
    releaseModel(base);
  };

  test('one step trains them and leaves the model under them as it was', async () => {
    const backend = await opened;
    const base = await initialiseModel(config, backend, 1);
    const adapters = newAdapters(base);
    const model = withAdapters(base, adapters);
    const optimizer = newOptimizer(model, { trainables: trainablesOf(adapters) });
    const [frozen, before] = [await readAll(base.parameters.values()), await readAll(adapters.flatMap(tensorsOf))];
    const untouched = await meanLoss(base, rows);
    const { loss } = await languageModelLoss(optimizer, [rows]);
    await update(optimizer, options, 1);
    expect(await readAll(base.parameters.values())).toEqual(frozen);
    for (const [i, values] of (await readAll(adapters.flatMap(tensorsOf))).entries()) {
      expect(values, `adapter ${i}`).not.toEqual(before[i]);
    }
    expect((await meanLoss(model, rows)).loss).toBeLessThan(loss);
    expect(await meanLoss(base, rows)).toEqual(untouched);
    releaseOptimizer(optimizer);
    releaseAll(base, adapters);
    expect(backend.memory().used).toBe(0);
  });

  test('their gradients are those of the weights that they make: dA = s·Bᵀ·dW, dB = s·dW·Aᵀ', async () => {
    const backend = await opened;
    const base = await initialiseModel(config, backend, 1);
    const adapters = newAdapters(base);
    const { loss, gradients } = await gradientsOf(base, adapters, false);

    // The same model with the adapters added into its weights, all of which are trained.
    const merged = copyModel(base);
    for (const [index, layer] of withAdapters(base, adapters).layers.entries()) {
      scope(() => {
        const [made, into] = [layer.weights(), merged.layers[index]!.weights()];
        backend.unary('copy', made.attention.o, into.attention.o);
        backend.unary('copy', made.mlp.down, into.mlp.down);
      });
    }
    const whole = newOptimizer(merged);
    expect((await languageModelLoss(whole, [rows.slice(0, 2), rows.slice(2)])).loss).toBeCloseTo(loss, 6);
    const expected: number[][] = [];
    for (const [index, layer] of adapters.entries()) {
      for (const [group, { a, b }] of Object.entries(layer)) {
        const name = group === 'mlp' ? 'mlp.down_proj.weight' : 'self_attn.o_proj.weight';
        const dW = whole.gradients.get(`model.layers.${index}.${name}`)!;
        const products = scope(
          () => [mul(matmul(b, dW, { transposeA: true }), scale), mul(matmul(dW, a, { transposeB: true }), scale)],
          { adopt: false },
        );
        expected.push(...(await readAll(products)));
        for (const product of products) product.release();
      }
    }
    for (const [i, gradient] of gradients.entries()) {
      const largest = expected[i]!.reduce((far, value) => Math.max(far, Math.abs(value)), 0);
      expect(largest, `adapter ${i}`).toBeGreaterThan(1e-6);
      for (const [k, value] of gradient.entries()) {
        expect(Math.abs(value - expected[i]![k]!), `adapter ${i}`).toBeLessThan(bound * largest);
      }
    }
    releaseOptimizer(whole);
    releaseModel(merged);
    releaseAll(base, adapters);
  });

  test('layers that are computed again compute them again, to the same bits', async () => {
    const base = await initialiseModel(config, await opened, 1);
    const adapters = newAdapters(base);
    expect(await gradientsOf(base, adapters, true)).toEqual(await gradientsOf(base, adapters, false));
    releaseAll(base, adapters);
  });
});
