import { expect, test } from 'vitest';
import { defaultRotary } from '../../src/model/rotary.ts';
import { RandomStream } from '../../src/random.ts';

import type { GradientTarget } from '../../src/tensor/backends/kernels/gradient.ts';
import { samplingWords, wordsOf } from '../../src/tensor/backends/kernels/sampling.ts';
import type { SavedInput } from '../../src/tensor/backends/kernels/sub-layer.ts';
import { createNativeBackend, type NativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';

import { filled, fromHost, scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { thorough } from '../thorough.ts';

const { available } = await nativeAvailability();

/** Draws shapes, ids and tensors that need not match each other, and leaves out optional tensors at random. */
class Arguments {
  readonly #backend: NativeBackend;
  readonly #random: RandomStream;

  constructor(backend: NativeBackend, seed: number) {
    this.#backend = backend;
    this.#random = new RandomStream(seed, 'arguments');
  }
  readonly pick = <T>(values: readonly T[]): T => values[Math.floor(this.#random.uniform() * values.length)]!;
  readonly size = () => this.pick([0, 0, 1, 1, 2, 3, 5, 16, 17, 33, 64]);
  readonly yes = () => this.pick([true, false]);
  readonly fraction = () => this.#random.uniform();
  readonly tensor = (rank: number) =>
    filled(this.#backend, Array.from({ length: rank }, this.size), this.pick([0.5, -0.25, 1, Number.NaN]));
  readonly ids = (count = this.size()) =>
    fromHost(
      this.#backend,
      Int32Array.from({ length: count }, () => this.pick([-3, -1, 0, 0, 1, 2, 5, 40])),
    );
  readonly maybe = <T>(value: T): T | undefined => (this.yes() ? value : undefined);
  readonly target = (): GradientTarget | undefined => this.maybe({ tensor: this.tensor(2), accumulate: this.yes() });
  readonly heads = () => {
    const headDim = this.size();
    return {
      heads: this.size(),
      kvHeads: this.size(),
      headDim,
      rotary: defaultRotary(this.maybe(headDim) ?? 2, 10000),
    };
  };
  readonly rows = (count: number) => {
    const ascending = fromHost(this.#backend, Int32Array.of(0, Math.floor(count / 2), count));
    return { positions: this.ids(count), segments: this.yes() ? ascending : this.ids() };
  };
  readonly headInputs = () => ({ hidden: this.tensor(2), head: this.tensor(2), targets: this.ids() });
  readonly cachedRows = () => ({ sequences: this.ids(), positions: this.ids() });
  readonly cache = () => ({ keys: this.tensor(4), values: this.tensor(4) });
  readonly norm = () => this.maybe({ weight: this.tensor(1), eps: 1e-6 });
  readonly savedInput = (): SavedInput => {
    const norm = this.norm();
    return norm ? { normed: { x: this.tensor(2), norm, inverseRms: this.tensor(1) } } : { operand: this.tensor(2) };
  };
  readonly savedAttention = () => {
    const [qkv, out, logSumExp] = [2, 2, 2].map(this.tensor) as [Tensor, Tensor, Tensor];
    return { input: this.savedInput(), qkv, out, logSumExp };
  };
}

/** One call of each operation of the engine. */
const operations: Record<string, (backend: NativeBackend, draw: Arguments) => void> = {
  unary: (b, { tensor }) => b.unary('exp', tensor(2), tensor(2)),
  binary: (b, { tensor }) => b.binary('add', tensor(2), tensor(2), tensor(3)),
  select: (b, { tensor }) => b.select(tensor(1), tensor(2), tensor(3), tensor(3)),
  reduce: (b, { tensor, yes }) => b.reduce(yes() ? 'sum' : 'max', tensor(3), tensor(3), yes()),
  matmul: (b, { tensor, yes }) =>
    b.matmul(tensor(2), tensor(2), tensor(2), { transposeA: yes(), transposeB: yes(), accumulate: yes() }),
  gather: (b, { tensor, ids }) => b.gather(tensor(2), ids(), tensor(2)),
  scatterAdd: (b, { tensor, ids }) => b.scatterAdd(tensor(2), ids(), tensor(2)),
  transpose: (b, { tensor }) => b.transpose(tensor(3), [2, 0, 1], tensor(3)),
  slice: (b, { tensor, size }) => b.slice(tensor(3), 1, size(), tensor(3)),
  place: (b, { tensor, size, yes }) => b.place(tensor(3), 1, size(), tensor(3), yes()),
  addScaled: (b, { tensor }) => b.addScaled(tensor(2), 2, tensor(2)),
  linear: ({ kernels }, { tensor }) => kernels.linear.forward(tensor(2), tensor(2), tensor(2)),
  linearInputGradient: ({ kernels }, { tensor, yes }) =>
    kernels.linear.inputGradient(tensor(2), tensor(2), { tensor: tensor(2), accumulate: yes() }),
  linearWeightGradient: ({ kernels }, { tensor, yes }) =>
    kernels.linear.weightGradient(tensor(2), tensor(2), { tensor: tensor(2), accumulate: yes() }),
  rmsNorm: ({ kernels }, { tensor }) =>
    kernels.rmsNorm.forward(tensor(2), { weight: tensor(1), eps: 1e-6 }, tensor(2), tensor(1)),
  rmsNormGradient: ({ kernels }, { tensor, target }) => {
    const saved = { x: tensor(2), weight: tensor(1), inverseRms: tensor(1) };
    kernels.rmsNorm.gradient(tensor(2), saved, { x: target(), weight: target() });
  },
  gatedMlp: ({ kernels }, { tensor, maybe, norm, savedInput }) => {
    const saved = maybe({ input: savedInput(), gateUp: tensor(2) });
    kernels.gatedMlp.forward(tensor(2), norm(), { gateUp: tensor(2), down: tensor(2) }, tensor(2), saved);
  },
  gatedMlpGradient: ({ kernels }, { tensor, target, savedInput }) => {
    const weights = { gateUp: tensor(2), down: tensor(2) };
    const into = { x: target(), norm: target(), gateUp: target(), down: target() };
    kernels.gatedMlp.gradient(tensor(2), weights, { input: savedInput(), gateUp: tensor(2) }, into);
  },
  selfAttention: ({ kernels }, { tensor, rows, heads, maybe, norm, savedAttention }) => {
    const [x, qkv, o, y] = [tensor(2), tensor(2), tensor(2), tensor(2)];
    const saved = maybe(savedAttention());
    const call = { x, norm: norm(), weights: { qkv, o }, rows: rows(x.shape[0]!), shape: heads(), y };
    kernels.selfAttention.forward({ ...call, ...(saved && { saved }) });
  },
  selfAttentionGradient: ({ kernels }, { tensor, rows, heads, target, savedAttention }) => {
    const [dy, qkv, o] = [tensor(2), tensor(2), tensor(2)];
    const call = { dy, weights: { qkv, o }, rows: rows(dy.shape[0]!), shape: heads(), saved: savedAttention() };
    kernels.selfAttention.gradient({ ...call, into: { x: target(), norm: target(), qkv: target(), o: target() } });
  },
  tokenLogProbs: ({ kernels }, { tensor, headInputs }) =>
    kernels.tokenLogProbs.forward(headInputs(), tensor(1), tensor(1)),
  tokenLogProbsGradient: ({ kernels }, { tensor, headInputs, target }) =>
    kernels.tokenLogProbs.gradient(tensor(1), headInputs(), tensor(1), { hidden: target(), head: target() }),
  crossEntropyWithGradient: ({ kernels }, { tensor, headInputs, target }) =>
    kernels.crossEntropy.withGradient(headInputs(), tensor(1), tensor(1), { hidden: target(), head: target() }),
  cachedSelfAttention: ({ kernels }, { tensor, norm, cachedRows, cache, heads }) => {
    const [x, qkv, o, y] = [tensor(2), tensor(2), tensor(2), tensor(2)];
    const call = { x, norm: norm(), weights: { qkv, o }, rows: cachedRows(), cache: cache(), shape: heads(), y };
    kernels.decoding.selfAttention(call);
  },
  decoderLayer: ({ kernels }, { tensor, ids, heads, yes, maybe, cachedRows, cache }) => {
    const weights = {
      attentionNorm: tensor(1),
      qkv: tensor(2),
      o: tensor(2),
      mlpNorm: tensor(1),
      gateUp: tensor(2),
      down: tensor(2),
    };
    const call = { stream: tensor(2), weights, rows: cachedRows(), cache: cache(), shape: heads(), eps: 1e-6 };
    kernels.decoding.layer({ ...call, postNorm: yes(), wanted: maybe(ids()) });
  },
  nextLogits: ({ kernels }, { tensor, ids }) =>
    kernels.decoding.nextLogits(tensor(2), ids(), { weight: tensor(1), eps: 1e-6 }, tensor(2), tensor(2)),
  sampleTokens: (b, { tensor, ids, maybe, size, pick, fraction }) => {
    const rows = pick([2, 3, 3]);
    const seen = fromHost(b, new Int32Array(2 * rows), [rows, 2]);
    const sampling = { temperature: pick([0, 1]), topK: size(), topP: fraction(), minP: fraction() };
    const words = [0, 1, 2].flatMap(() => [...wordsOf({ ...sampling, repetitionPenalty: pick([1, 1.2]) })]);
    b.kernels.sampling.draw({
      ...{ logits: tensor(2), draws: maybe(ids()), sequences: ids(), seen: maybe(seen) },
      samplings: fromHost(b, Int32Array.from(words), [3, samplingWords]),
      ...{ tokens: ids(), logProbs: maybe(tensor(1)) },
    });
  },
  drawnTokens: ({ kernels }, { ids }) => kernels.sampling.fillIn(ids(), ids()),
  addSquaredNorm: ({ kernels }, { tensor }) => kernels.adamW.addSquaredNorm(tensor(2), tensor(1)),
  adamW: ({ kernels }, { tensor, yes }) => {
    const tensors = {
      ...{ parameter: tensor(1), gradient: tensor(1), firstMoment: tensor(1), secondMoment: tensor(1) },
      sumOfSquares: tensor(1),
    };
    kernels.adamW.update(tensors, {
      learningRate: 1,
      beta1: 0.9,
      beta2: 0.9,
      epsilon: 1e-8,
      weightDecay: 0,
      step: 1,
      maxNorm: Number(yes()),
    });
  },
};

test.runIf(available).each(['f32', 'bf16'] as const)(
  'arguments that do not match cause errors that name the operation in %s, never a crash',
  async (precision) => {
    const backend = await createNativeBackend({ precision, threads: 2 });
    const tries = thorough ? 300 : 60;
    let refused = 0;
    for (const [name, call] of Object.entries(operations)) {
      const draw = new Arguments(backend, 1);
      for (let i = 0; i < tries; i++) {
        scope(() => call(backend, draw));
        await backend.sync().catch(({ message }: Error) => {
          expect(message).toMatch(`native ${name}: `);
          refused++;
        });
      }
    }
    expect(refused).toBeGreaterThan(4 * tries);
    expect(backend.memory().used).toBe(0);
    await backend.dispose();
  },
);
