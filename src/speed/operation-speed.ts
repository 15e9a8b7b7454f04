import type { ModelConfig } from '../model/config.ts';
import { defaultRotary } from '../model/rotary.ts';
import { RandomStream } from '../random.ts';
import type { Backend } from '../tensor/backends/backend.ts';
import { sequenceLayout } from '../tensor/fused/attention.ts';
import { crossEntropy } from '../tensor/fused/cross-entropy.ts';
import { gatedMlp } from '../tensor/fused/gated-mlp.ts';
import { linear } from '../tensor/fused/linear.ts';
import { rmsNorm } from '../tensor/fused/rms-norm.ts';
import { selfAttention } from '../tensor/fused/self-attention.ts';
import { filled, fromHost, scope } from '../tensor/scope.ts';
import { Tape } from '../tensor/tape.ts';
import { type Shape, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { fastest } from './roofline.ts';

/** The speed of one operation by itself, at a shape that the model has. */
export interface OperationSpeed {
  operation: string;
  direction: 'forward' | 'backward';
  seconds: number;
  flops: number;
  /** Size of inputs and outputs in float32, each moved once. */
  bytes: number;
}

interface Work {
  operation: string;
  inputs: readonly Shape[];
  output: Shape;
  flops: number;
  backwardFlops: number;
  run: (inputs: readonly Tensor[]) => Tensor;
}

/**
 * Times each operation of a layer and of the head by itself, for `batch` sequences of `length` tokens: the forward pass
 * without a tape, and the backward pass alone after a recorded forward pass.
 */
export async function operationSpeeds(
  config: ModelConfig,
  backend: Backend,
  { batch, length, rounds }: { batch: number; length: number; rounds: number },
): Promise<OperationSpeed[]> {
  const speeds: OperationSpeed[] = [];
  for (const work of worksOf(config, backend, batch, length)) {
    const random = new RandomStream(1, work.operation);
    const draw = (shape: Shape) => Float32Array.from({ length: sizeOf(shape) }, () => 0.1 * random.normal());
    const inputs = work.inputs.map((shape) => fromHost(backend, draw(shape), shape));
    const gradients = inputs.map(({ shape }) => filled(backend, shape, 0));
    const leaves = new Map(inputs.map((input, i) => [input, gradients[i]!]));
    const forward = await fastest(backend, rounds, () => scope(() => void work.run(inputs)));
    const recorded = () => {
      const tape = new Tape(leaves);
      return { tape, output: tape.record(() => work.run(inputs)) };
    };
    const differentiate = ({ tape, output }: ReturnType<typeof recorded>) => {
      tape.backward(output);
      output.release();
    };
    const backward = await fastest(backend, rounds, differentiate, recorded);
    for (const tensor of [...inputs, ...gradients]) tensor.release();
    const [read, written] = [work.inputs.reduce((sum, shape) => sum + sizeOf(shape), 0), sizeOf(work.output)];
    const { operation, flops } = work;
    const bytes = 4 * (read + written);
    speeds.push({ operation, direction: 'forward', seconds: forward, flops, bytes });
    // The backward pass adds to the gradients of leaves, which reads and writes them.
    const backwardBytes = bytes + 8 * read;
    speeds.push({
      operation,
      direction: 'backward',
      seconds: backward,
      flops: work.backwardFlops,
      bytes: backwardBytes,
    });
  }
  return speeds;
}

function worksOf(config: ModelConfig, backend: Backend, batch: number, length: number): Work[] {
  const { hiddenSize: hidden, intermediateSize: intermediate, heads, kvHeads, headDim, vocabSize } = config;
  const rows = batch * length;
  const qkv = (heads + 2 * kvHeads) * headDim;
  const positions = Int32Array.from({ length: rows }, (_, i) => i % length);
  const segments = Int32Array.from({ length: batch + 1 }, (_, i) => i * length);
  const targets = Int32Array.from({ length: rows }, (_, i) => (i * 7919) % vocabSize);
  const weights = new Float32Array(rows).fill(1 / rows);

  const layout = () => sequenceLayout(backend, positions, segments);
  const shape = { heads, kvHeads, headDim, rotary: defaultRotary(headDim, config.ropeTheta) };
  // Two products over the causal half of the scores in the forward pass, five in the backward pass.
  const attentionFlops = 2 * rows * length * heads * headDim;
  const projectionFlops = 2 * rows * hidden * (qkv + heads * headDim);
  return [
    {
      operation: `rmsNorm [${hidden}]`,
      ...{ inputs: [[rows, hidden], [hidden]], output: [rows, hidden], flops: 0, backwardFlops: 0 },
      run: ([x, weight]) => rmsNorm(x!, weight!, config.rmsNormEps),
    },
    {
      operation: `linear [${hidden} → ${intermediate}]`,
      ...{
        inputs: [
          [rows, hidden],
          [intermediate, hidden],
        ],
        output: [rows, intermediate],
      },
      ...forwardAndBackward(2 * rows * hidden * intermediate),
      run: ([x, w]) => linear(x!, w!),
    },
    {
      operation: `selfAttention [${hidden}, ${heads} × ${headDim}]`,
      inputs: [
        [rows, hidden],
        [qkv, hidden],
        [hidden, heads * headDim],
      ],
      output: [rows, hidden],
      flops: projectionFlops + attentionFlops,
      backwardFlops: 2 * projectionFlops + 2.5 * attentionFlops,
      run: ([x, qkv, o]) => selfAttention(x!, qkv!, o!, layout(), shape),
    },
    {
      operation: `gatedMlp [${hidden}, ${intermediate}]`,
      inputs: [
        [rows, hidden],
        [2 * intermediate, hidden],
        [hidden, intermediate],
      ],
      output: [rows, hidden],
      ...forwardAndBackward(6 * rows * hidden * intermediate),
      run: ([x, gateUp, down]) => gatedMlp(x!, gateUp!, down!),
    },
    {
      operation: `crossEntropy [${hidden} → ${vocabSize}]`,
      ...{
        inputs: [
          [rows, hidden],
          [vocabSize, hidden],
        ],
        output: [1],
      },
      ...forwardAndBackward(2 * rows * hidden * vocabSize),
      run: ([x, head]) => crossEntropy(x!, head!, targets, weights),
    },
  ];
}

/** For products: the gradient of each operand is a product as large as the forward one. */
const forwardAndBackward = (flops: number) => ({ flops, backwardFlops: 2 * flops });
