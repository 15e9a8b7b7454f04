import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultRotary } from '../../src/model/rotary.ts';
import { RandomStream } from '../../src/random.ts';
import { createNativeBackend, type NativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { tokenLogProbs } from '../../src/tensor/fused/token-log-probs.ts';
import { add, exp, gather, mul, sum } from '../../src/tensor/primitives.ts';
import { empty, filled, fromHost, scope } from '../../src/tensor/scope.ts';
import { fusedCases, primitiveCases } from '../contract/cases.ts';
import { differentiate, drawInputs } from '../contract/differentiate.ts';

const { available, reason } = await nativeAvailability();
if (!available) console.log(`the native engine is not tested: ${reason}`);

const sumOf = (terms: readonly number[]): number => terms.reduce((total, term) => total + term, 0);

/**
 * The products of a linear layer and its gradients on random operands: `values` as the backend computes them, and the
 * float64 `terms` whose sum each element should be, computed from operands that `rounded` has rounded.
 */
async function linearProducts(
  backend: NativeBackend,
  [rows, inner, outer]: readonly [number, number, number],
  rounded: (data: Float32Array) => Float32Array,
): Promise<{ values: Float32Array; terms: (element: number) => number[] }[]> {
  const random = new RandomStream(2, 'linear');
  const draw = (size: number) => Float32Array.from({ length: size }, () => random.normal());
  const [x, w, dy] = [draw(rows * inner), draw(outer * inner), draw(rows * outer)];
  const tensor = (data: Float32Array, columns: number) => fromHost(backend, data, [data.length / columns, columns]);
  const y = empty(backend, [rows, outer]);
  const dx = empty(backend, [rows, inner]);
  const dw = empty(backend, [outer, inner]);
  const { linear } = backend.kernels;
  linear.forward(tensor(x, inner), tensor(w, inner), y);
  linear.inputGradient(tensor(dy, outer), tensor(w, inner), { tensor: dx, accumulate: false });
  linear.weightGradient(tensor(dy, outer), tensor(x, inner), { tensor: dw, accumulate: false });
  const [a, b, c] = [rounded(x), rounded(w), rounded(dy)];
  const product = async (
    out: typeof y,
    columns: number,
    count: number,
    term: (row: number, column: number, k: number) => number,
  ) => ({
    values: Float32Array.from(await backend.read(out)),
    terms: (element: number) =>
      Array.from({ length: count }, (_, k) => term(Math.floor(element / columns), element % columns, k)),
  });
  return [
    await product(y, outer, inner, (row, column, k) => a[row * inner + k]! * b[column * inner + k]!),
    await product(dx, inner, outer, (row, column, k) => c[row * outer + k]! * b[k * inner + column]!),
    await product(dw, inner, rows, (row, column, k) => c[k * outer + row]! * a[k * inner + column]!),
  ];
}

const step = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };

describe.runIf(available)('native engine', () => {
  let backend: NativeBackend;
  beforeAll(async () => {
    backend = await createNativeBackend({ precision: 'f32', threads: 2 });
  }, 300_000);
  afterAll(() => backend.dispose());

  test.each(['f32', 'bf16'] as const)(
    '1, 2 and 4 threads give the same bits in %s',
    async (precision) => {
      const single = await createNativeBackend({ precision, threads: 1 });
      const teams = [
        await createNativeBackend({ precision, threads: 2 }),
        await createNativeBackend({ precision, threads: 4 }),
      ];
      for (const which of [...primitiveCases, ...fusedCases]) {
        const values = drawInputs(which);
        const expected = await differentiate(single, which, values);
        for (const team of teams) expect(await differentiate(team, which, values), which.name).toEqual(expected);
      }
      for (const team of teams) await team.dispose();
      await single.dispose();
    },
    300_000,
  );

  test.each([
    [1600, 37, 45],
    [70, 1600, 33],
    [40, 45, 1600],
  ] as const)('f32 products of %i × %i × %i are as exact as sums of floats', async (...sizes) => {
    for (const { values, terms } of await linearProducts(backend, sizes, (data) => data)) {
      let largest = 0;
      // Every 7th element lies in every row and every column.
      for (let i = 0; i < values.length; i += 7) {
        const products = terms(i);
        const size = products.reduce((total, product) => total + Math.abs(product), 0);
        largest = Math.max(largest, Math.abs(values[i]! - sumOf(products)) / size);
      }
      // As a share of Σ |terms|, floats err by some 2⁻²², sums of two bfloat16 by 2⁻¹⁶.
      expect(largest).toBeLessThan(5e-7);
    }
  });

  test('bf16 products are products of operands rounded to bfloat16, summed in float', async () => {
    const rounding = await createNativeBackend({ precision: 'bf16' });
    for (const { values, terms } of await linearProducts(rounding, [37, 67, 45], roundedToBfloat16))
      for (const [i, value] of values.entries()) expect(value).toBeCloseTo(sumOf(terms(i)), 4);
    await rounding.dispose();
  });

  test('AdamW with clipping is the update of Loshchilov & Hutter', async () => {
    const random = new RandomStream(1, 'adamw');
    const draw = () => Float32Array.from({ length: 1003 }, () => random.normal());
    const [parameter, first] = [draw(), draw()];
    const second = draw().map((x) => x * x);
    const at = { parameter: [...parameter], first: [...first], second: [...second] };
    const tensors = [parameter, first, second].map((data) => fromHost(backend, data));
    for (let t = 3; t < 6; t++) {
      const gradient = draw();
      const g = fromHost(backend, gradient);
      const squares = filled(backend, [1], 0);
      backend.kernels.adamW.addSquaredNorm(g, squares);
      const [parameter, firstMoment, secondMoment] = tensors as [typeof g, typeof g, typeof g];
      const updated = { parameter, gradient: g, firstMoment, secondMoment, sumOfSquares: squares };
      backend.kernels.adamW.update(updated, { ...step, learningRate: 1e-2, step: t, maxNorm: 2 });

      const scale = Math.min(1, 2 / Math.hypot(...gradient));
      for (const [i, raw] of gradient.entries()) {
        const clipped = raw * scale;
        at.first[i] = 0.9 * at.first[i]! + 0.1 * clipped;
        at.second[i] = 0.95 * at.second[i]! + 0.05 * clipped * clipped;
        const direction = at.first[i]! / (1 - 0.9 ** t) / (Math.sqrt(at.second[i]! / (1 - 0.95 ** t)) + 1e-8);
        at.parameter[i] = at.parameter[i]! * (1 - 1e-2 * 0.1) - 1e-2 * direction;
      }
      g.release();
      squares.release();
    }
    for (const [tensor, expected] of [at.parameter, at.first, at.second].map((e, i) => [tensors[i]!, e] as const)) {
      const values = await backend.read(tensor);
      for (const [i, value] of values.entries()) expect(value).toBeCloseTo(expected[i]!, 5);
      tensor.release();
    }
  });

  test('a weight is packed again after it was written to', async () => {
    const x = fromHost(backend, Float32Array.of(1, 2), [1, 2]);
    const w = fromHost(backend, Float32Array.of(1, 0, 0, 1, 1, 1), [3, 2]);
    const y = empty(backend, [1, 3]);
    backend.kernels.linear.forward(x, w, y);
    expect([...(await backend.read(y))]).toEqual([1, 2, 3]);
    backend.addScaled(w, 1, w);
    backend.kernels.linear.forward(x, w, y);
    expect([...(await backend.read(y))]).toEqual([2, 4, 6]);
    backend.write(w, Float32Array.of(5), 1);
    backend.kernels.linear.forward(x, w, y);
    expect([...(await backend.read(y))]).toEqual([12, 4, 6]);
    for (const tensor of [x, w, y]) tensor.release();
  });

  test('released memory is reused, and nothing leaks', async () => {
    const before = backend.memory();
    for (let i = 0; i < 200; i++) {
      scope(() => {
        const x = filled(backend, [1000, 50], i);
        sum(mul(x, x));
      });
    }
    await backend.sync();
    expect(backend.memory().used).toBe(before.used);
    expect(backend.memory().held).toBeLessThan(before.held + 2_000_000);
  });

  test('the event loop runs while the engine computes', async () => {
    const x = filled(backend, [100_000], 0.5);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    scope(() => {
      let y = x;
      for (let i = 0; i < 300; i++) y = exp(y);
    });
    await backend.sync();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    x.release();
  });

  test('an id outside the table rejects the next read, and only that one, with the name of the operation', async () => {
    const table = filled(backend, [4, 2], 1);
    const out = gather(table, fromHost(backend, Int32Array.of(0, 9)));
    await expect(backend.read(out)).rejects.toThrow('native gather: id 9 at index 1 is outside a table of 4 rows');
    expect([...(await backend.read(table))]).toEqual(Array(8).fill(1));
  });

  test('a target outside the vocabulary and a row outside the cache are errors, not crashes', async () => {
    const hidden = filled(backend, [2, 4], 1);
    const out = empty(backend, [2]);
    const { tokenLogProbs, decoding } = backend.kernels;
    const inputs = { hidden, head: filled(backend, [3, 4], 1), targets: fromHost(backend, Int32Array.of(1, 3)) };
    tokenLogProbs.forward(inputs, out, out);
    await expect(backend.sync()).rejects.toThrow('target 3 of row 1 is outside a vocabulary of 3');
    const ofHead = decoding.cacheShapes(4, 4);
    const [keys, values] = [ofHead.keys, ofHead.values].map((shape) => filled(backend, [1, 1, ...shape], 0));
    const [norm, square] = [[4], [4, 4]].map((shape) => filled(backend, shape, 0));
    const [zero, far] = [0, 4096].map((id) => fromHost(backend, Int32Array.of(id)));
    const qkv = filled(backend, [12, 4], 0);
    const gateUp = filled(backend, [8, 4], 0);
    const weights = { attentionNorm: norm!, qkv, o: square!, mlpNorm: norm!, gateUp, down: square! };
    const shape = { heads: 1, kvHeads: 1, headDim: 4, rotary: defaultRotary(4, 10000) };
    const stream = filled(backend, [1, 4], 1);
    const cache = { keys: keys!, values: values! };
    const call = { stream, weights, cache, shape, eps: 1e-6, postNorm: false };
    decoding.layer({ ...call, rows: { sequences: zero!, positions: far! }, wanted: undefined });
    await expect(backend.sync()).rejects.toThrow('row 0 is outside the cache');
    decoding.layer({ ...call, rows: { sequences: zero!, positions: zero! }, wanted: far! });
    await expect(backend.sync()).rejects.toThrow('wanted rows are not ascending numbers of rows');
  });

  test('log-probabilities are right to the last one even if there are more logits than 32-bit indices', async () => {
    const [rows, vocabulary] = [2 ** 16 + 5, 2 ** 15 + 3];
    const hidden = Float32Array.from({ length: rows }, (_, row) => row / rows);
    const head = new Float32Array(vocabulary);
    head[vocabulary - 1] = 3; // the last token's logit is 3 · hidden, all others are 0
    const out = scope(
      () =>
        tokenLogProbs(
          fromHost(backend, hidden, [rows, 1]),
          fromHost(backend, head, [vocabulary, 1]),
          new Int32Array(rows).fill(vocabulary - 1),
        ),
      { adopt: false },
    );
    const logProbs = await backend.read(out);
    out.release();
    for (const row of [0, 1, 40_000, rows - 1]) {
      const logit = 3 * hidden[row]!;
      expect(logProbs[row]).toBeCloseTo(logit - Math.log(vocabulary - 1 + Math.exp(logit)), 4);
    }
  });

  test('NaN and infinity pass through', async () => {
    const x = fromHost(
      backend,
      Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 100, -200),
    );
    expect([...(await backend.read(exp(x)))]).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
      0,
      Number.POSITIVE_INFINITY,
      0,
    ]);
    expect([...(await backend.read(sum(x)))]).toEqual([Number.NaN]);
  });

  test('several engines work side by side, and a disposed one refuses work', async () => {
    const other = await createNativeBackend({ precision: 'bf16', threads: 3 });
    const [a, b] = [filled(backend, [5], 2), filled(other, [5], 3)];
    expect([...(await other.read(add(b, b)))]).toEqual(Array(5).fill(6));
    expect([...(await backend.read(add(a, a)))]).toEqual(Array(5).fill(4));
    await other.dispose();
    expect(() => add(b, b)).toThrow(/disposed/);
    b.release();
    a.release();
  });
});

/** `data` rounded to the nearest bfloat16 values, ties to even. */
function roundedToBfloat16(data: Float32Array): Float32Array {
  const bits = new Uint32Array(Float32Array.from(data).buffer);
  for (const [i, word] of bits.entries()) bits[i] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer);
}
