import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultRotary } from '../../src/model/rotary.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { createNativeBackend } from '../../src/tensor/backends/native/backend.ts';
import { nativeAvailability } from '../../src/tensor/backends/native/build.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { createTensorFlowBackend } from '../../src/tensor/backends/tensorflow/backend.ts';
import { tensorflowAvailability } from '../../src/tensor/backends/tensorflow/library.ts';
import { adamW, addSquaredNorm } from '../../src/tensor/fused/adamw.ts';
import { attention, sequenceLayout } from '../../src/tensor/fused/attention.ts';
import { cachedAttention } from '../../src/tensor/fused/cached-attention.ts';
import { backwardFromCrossEntropy, crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
import { gatedMlp } from '../../src/tensor/fused/gated-mlp.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { rmsNorm } from '../../src/tensor/fused/rms-norm.ts';
import { selfAttention } from '../../src/tensor/fused/self-attention.ts';
import { swiglu } from '../../src/tensor/fused/swiglu.ts';
import { tokenLogProbs } from '../../src/tensor/fused/token-log-probs.ts';
import {
  add,
  broadcastTo,
  concat,
  exp,
  gather,
  matmul,
  max,
  mean,
  mul,
  reshape,
  scatterAdd,
  slice,
  sum,
  transpose,
  where,
} from '../../src/tensor/primitives.ts';
import { filled, fromHost, scope } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { Tensor } from '../../src/tensor/tensor.ts';

/** What is wrong with a call, and what its error has to say; it may come with the call or when the result is read. */
interface Refusal {
  what: string;
  error: RegExp;
  run: (given: Given) => unknown;
}

interface Given {
  backend: Backend;
  /** Ones. */
  of(...shape: number[]): Tensor;
  ids(...values: number[]): Tensor;
}

const shape = { heads: 2, kvHeads: 1, headDim: 4, rotary: defaultRotary(4, 10000) };
const step = { learningRate: 1, beta1: 0.9, beta2: 0.9, epsilon: 1e-8, weightDecay: 0, step: 1, maxNorm: 1 };
const int32 = (...values: number[]) => Int32Array.from(values);
const counting = (rows: number) => Int32Array.from({ length: rows }, (_, i) => i);
/** One sequence of `rows` rows. */
const layoutOf = (backend: Backend, rows: number) => sequenceLayout(backend, counting(rows), int32(0, rows));
/** An extent of which two are more than int32 counts and more than a machine holds. */
const huge = 2 ** 20;

const refused = (what: string, error: RegExp, run: Refusal['run']): Refusal => ({ what, error, run });

const primitives: Refusal[] = [
  refused('add of shapes that do not broadcast', /^add: \[2,3\] and \[4\] do not broadcast/, ({ of }) =>
    add(of(2, 3), of(4)),
  ),
  refused('add of nothing', /^add: .*\[0,3\] has no elements/, ({ of }) => add(of(0, 3), of(3))),
  refused('add of ids', /^add: an operand is i32/, ({ ids, of }) => add(ids(1, 2), of(2))),
  refused('mul beyond memory', /^mul: a result of \[1048576,1048576\] takes 4398 GB, and this machine has/, ({ of }) =>
    mul(of(huge, 1), of(huge)),
  ),
  refused('exp of five dimensions', /^exp: .* more than 4 dimensions/, ({ of }) => exp(of(1, 1, 1, 1, 2))),
  refused('exp of zero-length rows', /^exp: .*\[3,0\] has no elements/, ({ of }) => exp(of(3, 0))),
  refused('where of shapes that do not broadcast', /^where: \[2\] and \[3\] do not/, ({ of }) =>
    where(of(3), of(2), 1),
  ),
  refused('sum over a missing dimension', /^sum: \[2,3\] has no dimension 2/, ({ of }) => sum(of(2, 3), [2])),
  refused('mean of nothing', /^sum: .*\[0\] has no elements/, ({ of }) => mean(of(0))),
  refused('max of zero-length rows', /^max: .*\[3,0\] has no elements/, ({ of }) => max(of(3, 0), [1])),
  refused('matmul of other inner extents', /^matmul: shapes \[2,3\] and \[4,5\]/, ({ of }) =>
    matmul(of(2, 3), of(4, 5)),
  ),
  refused('matmul of other batches', /^matmul: shapes \[2,3,4\] and \[3,4,5\]/, ({ of }) =>
    matmul(of(2, 3, 4), of(3, 4, 5)),
  ),
  refused('matmul of a vector', /^matmul: \[3\] is not a matrix/, ({ of }) => matmul(of(3), of(3, 2))),
  refused('matmul of zero-length rows', /^matmul: .*\[2,0\] has no elements/, ({ of }) => matmul(of(2, 0), of(0, 2))),
  refused('matmul beyond memory', /^matmul: a result of \[1048576,1048576\]/, ({ of }) =>
    matmul(of(huge, 1), of(1, huge)),
  ),
  refused('gather of a row that is not there', /gather: id 9 at index 1 is outside a table of 4 rows/, ({ of, ids }) =>
    gather(of(4, 2), ids(0, 9)),
  ),
  refused('gather of a negative row', /gather: id -1 at index 0/, ({ of, ids }) => gather(of(4, 2), ids(-1))),
  refused('gather by floats', /^gather: ids are f32 \[2\]/, ({ of }) => gather(of(4, 2), of(2))),
  refused('gather of no rows', /^gather: a result of \[0,2\] has no elements/, ({ of, ids }) =>
    gather(of(4, 2), ids()),
  ),
  refused(
    'scatterAdd to a row that is not there',
    /scatterAdd: id 4 at index 0 is outside a table of 4 rows/,
    ({ of, ids }) => scatterAdd(of(1, 2), ids(4), 4),
  ),
  refused('scatterAdd to a negative row', /scatterAdd: id -2 at index 1/, ({ of, ids }) =>
    scatterAdd(of(2, 2), ids(0, -2), 4),
  ),
  refused('scatterAdd of more rows than ids', /^scatterAdd: source is \[3,2\], \[2,2\]/, ({ of, ids }) =>
    scatterAdd(of(3, 2), ids(0, 1), 4),
  ),
  refused('transpose that repeats a dimension', /^transpose: \[0,0\] does not permute/, ({ of }) =>
    transpose(of(2, 3), [0, 0]),
  ),
  refused('reshape to another size', /^reshape: \[2,3\] has no shape \[7\]/, ({ of }) => reshape(of(2, 3), [7])),
  refused('slice beyond the end', /^slice: \[2, 5\) is outside 0…3/, ({ of }) => slice(of(2, 3), 1, 2, 3)),
  refused('slice of nothing', /^slice: .* has no elements/, ({ of }) => slice(of(2, 3), 1, 1, 0)),
  refused('slice of a missing dimension', /^slice: \[2,3\] has no dimension 2/, ({ of }) => slice(of(2, 3), 2, 0, 1)),
  refused('concat of other widths', /^concat: a part is \[2,4\], \[2,3\]/, ({ of }) => concat([of(1, 3), of(2, 4)], 0)),
  refused('concat of nothing', /^concat: there is nothing/, () => concat([], 0)),
  refused('broadcastTo a smaller shape', /^broadcastTo: \[2,3\] is larger than \[3\]/, ({ of }) =>
    broadcastTo(of(2, 3), [3]),
  ),
  refused('data of another length', /^fromHost: \[2,3\] does not have 5/, ({ backend }) =>
    fromHost(backend, new Float32Array(5), [2, 3]),
  ),
];

const rowsOf = (given: Given, positions: number[], segments: number[]) =>
  selfAttention(
    given.of(4, 8),
    given.of(16, 8),
    given.of(8, 8),
    sequenceLayout(given.backend, int32(...positions), int32(...segments)),
    shape,
  );

const fused: Refusal[] = [
  refused('linear of another width', /^linear: w is \[5,4\], \[5,3\] is needed/, ({ of }) =>
    linear(of(2, 3), of(5, 4)),
  ),
  refused('linear of a vector', /^linear: x is \[3\], a matrix/, ({ of }) => linear(of(3), of(5, 3))),
  refused('linear of no rows', /^linear: .*\[0,3\] has no elements/, ({ of }) => linear(of(0, 3), of(5, 3))),
  refused('linear beyond memory', /^linear: a result of \[1048576,1048576\]/, ({ of }) =>
    linear(of(huge, 1), of(huge, 1)),
  ),
  refused('gatedMlp of another gateUp', /^gatedMlp: gateUp is \[9,3\], \[10,3\]/, ({ of }) =>
    gatedMlp(of(2, 3), of(9, 3), of(3, 5)),
  ),
  refused('gatedMlp of another down', /^gatedMlp: down is \[4,5\], \[3,5\]/, ({ of }) =>
    gatedMlp(of(2, 3), of(10, 3), of(4, 5)),
  ),
  refused('gatedMlp of another norm', /^gatedMlp: the weight of the norm is \[4\], \[3\]/, ({ of }) =>
    gatedMlp(of(2, 3), of(10, 3), of(3, 5), { weight: of(4), eps: 1e-6 }),
  ),
  refused('gatedMlp of no rows', /^gatedMlp: .* has no elements/, ({ of }) => gatedMlp(of(0, 3), of(10, 3), of(3, 5))),
  refused('swiglu of odd columns', /^swiglu: gateUp is \[2,3\], an even/, ({ of }) => swiglu(of(2, 3))),
  refused('rmsNorm of another width', /^rmsNorm: weight is \[4\], \[3\]/, ({ of }) => rmsNorm(of(2, 3), of(4), 1e-6)),
  refused('rmsNorm of zero-length rows', /^rmsNorm: .*\[2,0\] has no elements/, ({ of }) =>
    rmsNorm(of(2, 0), of(0), 1e-6),
  ),
  refused('selfAttention of another qkv', /^selfAttention: qkv is \[15,8\], \[16,8\]/, ({ backend, of }) =>
    selfAttention(of(4, 8), of(15, 8), of(8, 8), layoutOf(backend, 4), shape),
  ),
  refused('selfAttention of another o', /^selfAttention: o is \[8,7\], \[8,8\]/, ({ backend, of }) =>
    selfAttention(of(4, 8), of(16, 8), of(8, 7), layoutOf(backend, 4), shape),
  ),
  refused(
    'selfAttention of another norm',
    /^selfAttention: the weight of the norm is \[4\], \[8\]/,
    ({ backend, of }) =>
      selfAttention(of(4, 8), of(16, 8), of(8, 8), layoutOf(backend, 4), shape, { weight: of(4), eps: 1e-6 }),
  ),
  refused(
    'selfAttention of sequences of other rows',
    /^selfAttention: the sequences have 5 rows, x has 4/,
    ({ backend, of }) => selfAttention(of(4, 8), of(16, 8), of(8, 8), layoutOf(backend, 5), shape),
  ),
  refused(
    'selfAttention of heads that do not divide',
    /^selfAttention: 3 heads, 2 key-value heads of 4/,
    ({ backend, of }) =>
      selfAttention(of(4, 8), of(28, 8), of(8, 12), layoutOf(backend, 4), { ...shape, heads: 3, kvHeads: 2 }),
  ),
  refused('selfAttention of an odd head', /^selfAttention: .* of 3 do not fit/, ({ backend, of }) =>
    selfAttention(of(4, 8), of(12, 8), of(8, 6), layoutOf(backend, 4), { ...shape, headDim: 3 }),
  ),
  refused(
    'attention whose scores are beyond memory',
    /^attention: a result of \[2,1048576,1048576\]/,
    ({ backend, of }) => attention(of(huge, 16), layoutOf(backend, huge), shape),
  ),
  refused('a segment longer than the sequence', /^sequenceLayout: segment 1 is rows \[2, 6\) of 4/, (given) =>
    rowsOf(given, [0, 1, 0, 1], [0, 2, 6]),
  ),
  refused('segments that descend', /^sequenceLayout: segment 1 is rows \[3, 1\)/, (given) =>
    rowsOf(given, [0, 1, 2, 0], [0, 3, 1, 4]),
  ),
  refused('segments that leave rows out', /^sequenceLayout: segments end at row 3 of 4/, (given) =>
    rowsOf(given, [0, 1, 2, 0], [0, 3]),
  ),
  refused('segments that begin later', /^sequenceLayout: segments begin with 1/, (given) =>
    rowsOf(given, [0, 0, 1, 2], [1, 4]),
  ),
  refused('no segments', /^sequenceLayout: segments begin with undefined/, (given) => rowsOf(given, [0, 1, 2, 3], [])),
  refused('a position beyond its sequence', /^sequenceLayout: row 2 has position 2000000000, not 2/, (given) =>
    rowsOf(given, [0, 1, 2_000_000_000, 3], [0, 4]),
  ),
  refused('a negative position', /^sequenceLayout: row 0 has position -1/, (given) =>
    rowsOf(given, [-1, 0, 1, 2], [0, 4]),
  ),
  refused(
    'tokenLogProbs of a target beyond the vocabulary',
    /^tokenLogProbs: target 5 of row 1 is outside a vocabulary of 5/,
    ({ of }) => tokenLogProbs(of(2, 3), of(5, 3), int32(4, 5)),
  ),
  refused('tokenLogProbs of a target below −1', /^tokenLogProbs: target -2 of row 0/, ({ of }) =>
    tokenLogProbs(of(1, 3), of(5, 3), int32(-2)),
  ),
  refused('tokenLogProbs of fewer targets', /^tokenLogProbs: there are 1 targets for 2 rows/, ({ of }) =>
    tokenLogProbs(of(2, 3), of(5, 3), int32(0)),
  ),
  refused('tokenLogProbs of another head', /^tokenLogProbs: head is \[5,4\], \[5,3\]/, ({ of }) =>
    tokenLogProbs(of(2, 3), of(5, 4), int32(0, 0)),
  ),
  refused('tokenLogProbs of no rows', /^tokenLogProbs: .* has no elements/, ({ of }) =>
    tokenLogProbs(of(0, 3), of(5, 3), int32()),
  ),
  refused('crossEntropy of fewer weights', /^crossEntropy: there are 1 weights for 2 targets/, ({ of }) =>
    crossEntropy(of(2, 3), of(5, 3), int32(0, 1), new Float32Array(1)),
  ),
  refused(
    'backwardFromCrossEntropy of a target beyond the vocabulary',
    /(crossEntropy|tokenLogProbs): target 7 of row 0/,
    ({ of }) => {
      const [hidden, head, gradient] = [of(1, 3), of(5, 3), of(5, 3)];
      const tape = new Tape(new Map([[head, gradient]]));
      backwardFromCrossEntropy(tape, hidden, head, int32(7), new Float32Array(1));
    },
  ),
  refused('cachedAttention of another qkv', /^cachedAttention: qkv is \[1,15\], \[1,16\]/, ({ of }) =>
    cachedAttention(
      of(1, 15),
      { sequences: int32(0), positions: int32(0) },
      [{ keys: of(3, 1, 4), values: of(3, 1, 4) }],
      shape,
    ),
  ),
  refused('cachedAttention beyond the cache', /^cachedAttention: row 0 is outside the cache/, ({ of }) =>
    cachedAttention(
      of(1, 16),
      { sequences: int32(0), positions: int32(3) },
      [{ keys: of(3, 1, 4), values: of(3, 1, 4) }],
      shape,
    ),
  ),
  refused('adamW of another gradient', /^adamW: the gradient is \[2,3\], \[3,2\]/, ({ of }) =>
    adamW(of(3, 2), of(2, 3), of(3, 2), of(3, 2), of(1), step),
  ),
  refused('adamW of other moments', /^adamW: the second moment is \[6\], \[3,2\]/, ({ of }) =>
    adamW(of(3, 2), of(3, 2), of(3, 2), of(6), of(1), step),
  ),
  refused('addSquaredNorm into two numbers', /^addSquaredNorm: sumOfSquares is \[2\], \[1\]/, ({ of }) =>
    addSquaredNorm(of(3), of(2)),
  ),
];

const native = await nativeAvailability();
const tensorflow = await tensorflowAvailability();
const backends: { name: string; open: () => Promise<Backend> }[] = [
  { name: 'portable', open: async () => new PortableBackend('f32') },
  ...(native.available
    ? [
        { name: 'native f32', open: () => createNativeBackend({ precision: 'f32' }) },
        { name: 'native bf16', open: () => createNativeBackend({ precision: 'bf16' }) },
      ]
    : []),
  ...(tensorflow.available ? [{ name: 'tensorflow', open: () => createTensorFlowBackend() }] : []),
];

describe.each(backends)('$name', ({ open }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open();
  }, 300_000);
  afterAll(() => backend.dispose());

  test.each([...primitives, ...fused])('$what names its operation', async ({ error, run }) => {
    const given: Given = {
      backend,
      of: (...shape) => filled(backend, shape, 1),
      ids: (...values) => fromHost(backend, int32(...values)),
    };
    const attempt = async () => {
      const out = scope(() => run(given), { adopt: false });
      await backend.sync().finally(() => out instanceof Tensor && out.release());
    };
    await expect(attempt()).rejects.toThrow(error);
    // The backend goes on as if nothing had happened.
    const two = scope(() => add(given.of(3), 1), { adopt: false });
    expect([...(await backend.read(two))]).toEqual([2, 2, 2]);
    two.release();
  });

  test('leaves no memory behind', () => {
    expect(backend.memory().used).toBe(0);
  });
});

test('logits that 32-bit indices do not reach are refused by the composition', () => {
  const backend = new PortableBackend('f32');
  const [rows, vocabulary] = [2 ** 16, 2 ** 15];
  const run = () =>
    tokenLogProbs(filled(backend, [rows, 1], 1), filled(backend, [vocabulary, 1], 1), new Int32Array(rows));
  expect(run).toThrow('tokenLogProbs: the logits of 65536 rows and a vocabulary of 32768 are 2147483648, more than');
});
