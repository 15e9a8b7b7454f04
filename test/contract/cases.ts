import { defaultRotary } from '../../src/model/rotary.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import type { Norm } from '../../src/tensor/backends/kernels/rms-norm.ts';
import { sequenceLayout } from '../../src/tensor/fused/attention.ts';
import { crossEntropy } from '../../src/tensor/fused/cross-entropy.ts';
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
  div,
  exp,
  gather,
  greater,
  log,
  matmul,
  max,
  maximum,
  mean,
  mul,
  neg,
  rsqrt,
  scatterAdd,
  sigmoid,
  slice,
  sub,
  sum,
  transpose,
  where,
} from '../../src/tensor/primitives.ts';
import { fromHost } from '../../src/tensor/scope.ts';
import type { Shape, Tensor } from '../../src/tensor/tensor.ts';

/** An operation on inputs of given shapes. The gradient of every input is checked. */
export interface Case {
  name: string;
  inputs: readonly Shape[];
  /** Inputs in [0.5, 2.5] instead of standard normal, for operations that need them positive. */
  positive?: boolean;
  /** The number of successive products in the backend's precision between an input and the output. */
  products?: number;
  run: (inputs: readonly Tensor[], backend: Backend) => Tensor;
}

const pair = (name: string, a: Shape, b: Shape, run: (a: Tensor, b: Tensor) => Tensor, positive = false): Case => ({
  name: `${name} [${a}] [${b}]`,
  inputs: [a, b],
  positive,
  run: ([x, y]) => run(x!, y!),
});

const single = (name: string, shape: Shape, run: (x: Tensor) => Tensor, positive = false): Case => ({
  name: `${name} [${shape}]`,
  inputs: [shape],
  positive,
  run: ([x]) => run(x!),
});

const ids = (backend: Backend, ...values: number[]): Tensor => fromHost(backend, Int32Array.from(values));

const unaryCases = ([[1], [37], [3, 5, 17]] as Shape[]).flatMap((shape) => [
  single('neg', shape, neg),
  single('exp', shape, exp),
  single('log', shape, log, true),
  single('sigmoid', shape, sigmoid),
  single('rsqrt', shape, rsqrt, true),
]);

const broadcasts: [Shape, Shape][] = [
  [[1], [1]],
  [
    [5, 33],
    [5, 33],
  ],
  [[5, 33], [33]],
  [
    [5, 33],
    [5, 1],
  ],
  [
    [5, 1],
    [1, 7],
  ],
  [
    [2, 3, 1, 19],
    [1, 3, 4, 1],
  ],
  [
    [3, 1, 5, 1],
    [2, 1, 3],
  ],
];

const binaryCases = broadcasts.flatMap(([a, b]) => [
  pair('add', a, b, add),
  pair('sub', a, b, sub),
  pair('mul', a, b, mul),
  pair('div', a, b, div, true),
  pair('maximum', a, b, maximum),
  pair('where', a, b, (x, y) => where(greater(x, y), x, y)),
]);

const reduceCases = (
  [
    [[1], [0]],
    [[7, 65], [0]],
    [[7, 65], [1]],
    [
      [7, 65],
      [0, 1],
    ],
    [
      [2, 3, 5, 7],
      [1, 3],
    ],
    [
      [2, 3, 5, 7],
      [0, 2],
    ],
    [[5, 4, 33], [1]],
  ] as [Shape, number[]][]
).flatMap(([shape, axes]) => [
  single(`sum over ${axes}`, shape, (x) => sum(x, axes)),
  single(`max over ${axes}`, shape, (x) => max(x, axes)),
  single(`mean over ${axes}`, shape, (x) => mean(x, axes)),
]);

const movementCases: Case[] = [
  single('transpose', [3, 5], (x) => transpose(x, [1, 0])),
  single('transpose 4', [2, 3, 5, 7], (x) => transpose(x, [2, 0, 3, 1])),
  single('transpose heads', [11, 3, 8], (x) => transpose(x, [1, 0, 2])),
  single('slice', [3, 11, 5], (x) => slice(x, 1, 4, 6)),
  single('broadcastTo', [3, 1, 5], (x) => broadcastTo(x, [3, 4, 5])),
  pair('concat', [3, 4, 2], [3, 1, 2], (a, b) => concat([a, b, a], 1)),
  { name: 'gather', inputs: [[9, 21]], run: ([x], backend) => gather(x!, ids(backend, 3, 0, 8, 3, 3)) },
  { name: 'scatterAdd', inputs: [[5, 21]], run: ([x], backend) => scatterAdd(x!, ids(backend, 3, 0, 6, 3, 3), 7) },
];

const matmulCases = (
  [
    [1, 1, 1],
    [2, 3, 5],
    [15, 33, 17],
    [29, 64, 97],
    [127, 131, 65],
  ] as [number, number, number][]
).flatMap(([m, k, n]): Case[] =>
  [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) => ({
      ...pair(
        `matmul${transposeA ? ' Aᵀ' : ''}${transposeB ? ' Bᵀ' : ''}`,
        [2, ...(transposeA ? [k, m] : [m, k])],
        [2, ...(transposeB ? [n, k] : [k, n])],
        (a, b) => matmul(a, b, { transposeA, transposeB }),
      ),
      products: 1,
    })),
  ),
);

const linearCases = (
  [
    [1, 1, 1],
    [1, 64, 96],
    [17, 31, 33],
    [113, 129, 67],
    [300, 40, 1100],
  ] as [number, number, number][]
).map(([rows, inner, outer]): Case => ({ ...pair('linear', [rows, inner], [outer, inner], linear), products: 1 }));

interface Heads {
  heads: number;
  kvHeads: number;
  headDim: number;
}

/**
 * A sub-layer by itself, and preceded by a norm whose weight is one more input. One column is not tested with a norm:
 * the norm reduces it to its sign, and its gradient to rounding errors.
 */
const withAndWithoutNorm = (hidden: number, caseOf: (normed: boolean) => Case): Case[] =>
  (hidden > 1 ? [false, true] : [false]).map(caseOf);

const normOf = (weight: Tensor | undefined): Norm | undefined => weight && { weight, eps: 1e-6 };

const attentionCase = (
  hidden: number,
  { heads, kvHeads, headDim }: Heads,
  lengths: readonly number[],
  normed: boolean,
): Case => {
  const rows = lengths.reduce((total, length) => total + length, 0);
  const positions = Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, i) => i)));
  const segments = Int32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0))]);
  return {
    name: `selfAttention${normed ? ' of a norm' : ''} [${rows}, ${hidden}], ${heads}/${kvHeads} heads of ${headDim}, sequences of ${lengths}`,
    inputs: [
      [rows, hidden],
      [(heads + 2 * kvHeads) * headDim, hidden],
      [hidden, heads * headDim],
      ...(normed ? [[hidden]] : []),
    ],
    products: 4,
    run: ([x, qkv, o, norm], backend) => {
      const shape = { heads, kvHeads, headDim, rotary: defaultRotary(headDim, 10000) };
      // Scores of about 1, as in a model: larger ones magnify the rounding errors of queries and keys.
      const weight = mul(qkv!, 1 / Math.sqrt(hidden));
      return selfAttention(x!, weight, o!, sequenceLayout(backend, positions, segments), shape, normOf(norm));
    },
  };
};

const attentionCases = (
  [
    [1, { heads: 1, kvHeads: 1, headDim: 2 }, [1]],
    [33, { heads: 4, kvHeads: 2, headDim: 6 }, [3, 1, 33, 7]],
    [64, { heads: 6, kvHeads: 2, headDim: 32 }, [65, 2, 13]],
    [24, { heads: 2, kvHeads: 2, headDim: 40 }, [129]],
    [40, { heads: 2, kvHeads: 1, headDim: 64 }, [300, 0, 57]],
    [16, { heads: 1, kvHeads: 1, headDim: 16 }, [530]],
  ] as [number, Heads, number[]][]
).flatMap(([hidden, heads, lengths]) =>
  withAndWithoutNorm(hidden, (normed) => attentionCase(hidden, heads, lengths, normed)),
);

const normCases = (
  [
    [1, 2],
    [3, 7],
    [67, 33],
    [70, 128],
  ] as [number, number][]
).map(([rows, hidden]) => pair('rmsNorm', [rows, hidden], [hidden], (x, weight) => rmsNorm(x, weight, 1e-6)));

const mlpCases = (
  [
    [1, 1, 1],
    [13, 33, 37],
    [70, 128, 352],
    [300, 40, 171],
  ] as [number, number, number][]
).flatMap(([rows, hidden, intermediate]) =>
  withAndWithoutNorm(hidden, (normed) => ({
    name: `gatedMlp${normed ? ' of a norm' : ''} [${rows}, ${hidden}], intermediate ${intermediate}`,
    inputs: [[rows, hidden], [2 * intermediate, hidden], [hidden, intermediate], ...(normed ? [[hidden]] : [])],
    products: 2,
    run: ([x, gateUp, down, norm]) => gatedMlp(x!, mul(gateUp!, 1 / Math.sqrt(hidden)), down!, normOf(norm)),
  })),
);

/** s + F(N(s)) for s = 2x: the gradient of s starts as the tensor that is also F's, and F adds to it in place. */
const residualCases = [attentionCases.at(-1)!, mlpCases.at(-1)!].map(
  (of): Case => ({
    ...of,
    name: `s + ${of.name}`,
    run: ([x, ...rest], backend) => {
      const s = mul(x!, 2);
      return add(s, of.run([s, ...rest], backend));
    },
  }),
);

const swigluCases = [single('swiglu', [1, 2], swiglu), single('swiglu', [13, 2 * 37], swiglu)];

/** Every fifth target is skipped. */
const targetsFor = (rows: number, vocabulary: number): Int32Array =>
  Int32Array.from({ length: rows }, (_, i) => (i % 5 === 4 ? -1 : (i * 7919) % vocabulary));

const headCases = (
  [
    [1, 1, 2],
    [7, 16, 33],
    [131, 48, 517],
    [20, 24, 9001],
  ] as [number, number, number][]
).flatMap(([rows, hidden, vocabulary]): Case[] => [
  {
    name: `tokenLogProbs [${rows}, ${hidden}] · [${vocabulary}]`,
    inputs: [
      [rows, hidden],
      [vocabulary, hidden],
    ],
    products: 1,
    run: ([x, head]) => tokenLogProbs(x!, head!, targetsFor(rows, vocabulary)),
  },
  {
    name: `crossEntropy [${rows}, ${hidden}] · [${vocabulary}]`,
    inputs: [
      [rows, hidden],
      [vocabulary, hidden],
    ],
    products: 1,
    run: ([x, head]) => {
      const weights = Float32Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? 0 : 1 / (i + 1)));
      return crossEntropy(x!, head!, targetsFor(rows, vocabulary), weights);
    },
  },
]);

/** All primitive operations; `fusedCases` has the fused ones. */
export const primitiveCases = [...unaryCases, ...binaryCases, ...reduceCases, ...movementCases, ...matmulCases];
export const fusedCases = [
  ...linearCases,
  ...mlpCases,
  ...attentionCases,
  ...residualCases,
  ...normCases,
  ...swigluCases,
  ...headCases,
];
