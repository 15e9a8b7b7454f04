import type { Tensor } from '../tensor.ts';
import type {
  AdamWStep,
  AttentionShape,
  DecoderLayerWeights,
  FusedKernels,
  GradientTarget,
  Norm,
  PackedRows,
  SavedAttention,
  SavedMlp,
} from './kernels.ts';
import { handleOf, weightHandleOf } from './native-arguments.ts';
import type { NativeLibrary } from './native-build.ts';
import { RotaryNumbers } from './native-rotary.ts';

/** Whether to add. Arguments are written out one by one: arrays of them would be garbage of every call. */
function accumulates(target: GradientTarget | undefined): number {
  return Number(target?.accumulate ?? false);
}

/** The fused operations of the C++ engine; arguments in the order that the operations in src/native document. */
export class NativeKernels implements FusedKernels {
  readonly #library: NativeLibrary;
  readonly #engine: number;
  readonly #op: Record<string, number>;
  readonly #rotaries: RotaryNumbers;

  /** @param operations the number of each operation by its name */
  constructor(library: NativeLibrary, engine: number, operations: Record<string, number>) {
    this.#library = library;
    this.#engine = engine;
    this.#op = operations;
    this.#rotaries = new RotaryNumbers(library, engine);
  }

  linear(x: Tensor, w: Tensor, out: Tensor): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.linear!, x.shape[0]!, w.shape[1]!, w.shape[0]!,
      handleOf(x), weightHandleOf(w), handleOf(out));
  }

  linearInputGradient(dy: Tensor, w: Tensor, dx: Tensor, accumulate: boolean): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.linearInputGradient!,
      dy.shape[0]!, w.shape[1]!, w.shape[0]!, Number(accumulate),
      handleOf(dy), weightHandleOf(w), handleOf(dx));
  }

  linearWeightGradient(dy: Tensor, x: Tensor, dw: Tensor, accumulate: boolean): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.linearWeightGradient!,
      dy.shape[0]!, dw.shape[1]!, dw.shape[0]!, Number(accumulate),
      handleOf(dy), handleOf(x), handleOf(dw));
  }

  rmsNorm(x: Tensor, weight: Tensor, y: Tensor, inverseRms: Tensor, eps: number): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.rmsNorm!, inverseRms.size, weight.size, eps,
      handleOf(x), handleOf(weight), handleOf(y), handleOf(inverseRms));
  }

  rmsNormGradient(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    inverseRms: Tensor,
    dx: GradientTarget | undefined,
    dWeight: GradientTarget | undefined,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.rmsNormGradient!, inverseRms.size, weight.size,
      handleOf(dy), handleOf(x), handleOf(weight), handleOf(inverseRms),
      accumulates(dx), handleOf(dx?.tensor), accumulates(dWeight), handleOf(dWeight?.tensor));
  }

  operandSize(rows: number, columns: number): number {
    return this.#library.operandSize(this.#engine, rows, columns);
  }

  cacheShapes(headDim: number, capacity: number): ReturnType<FusedKernels['cacheShapes']> {
    const [keyPanels, keyWidth, valuePanels, valueWidth] = this.#library.cacheLayout(this.#engine, headDim, capacity);
    return { keys: [keyPanels, keyWidth], values: [valuePanels, valueWidth] };
  }

  gatedMlp(x: Tensor, norm: Norm | undefined, gateUp: Tensor, down: Tensor, y: Tensor, saved?: SavedMlp): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.gatedMlp!, x.shape[0]!, x.shape[1]!, down.shape[1]!,
      handleOf(x), handleOf(norm?.weight), norm?.eps ?? 0, handleOf(saved?.input.normed?.inverseRms),
      weightHandleOf(gateUp), weightHandleOf(down), handleOf(y),
      handleOf(saved?.input.operand), handleOf(saved?.gateUp));
  }

  gatedMlpGradient(
    dy: Tensor,
    { input, gateUp: savedGateUp }: SavedMlp,
    gateUp: Tensor,
    down: Tensor,
    dx: GradientTarget | undefined,
    dNorm: GradientTarget | undefined,
    dGateUp: GradientTarget | undefined,
    dDown: GradientTarget | undefined,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.gatedMlpGradient!, dy.shape[0]!, dy.shape[1]!, down.shape[1]!,
      handleOf(dy),
      handleOf(input.normed?.x), handleOf(input.normed?.norm.weight), input.normed?.norm.eps ?? 0,
      handleOf(input.normed?.inverseRms),
      handleOf(input.operand), handleOf(savedGateUp), handleOf(gateUp), handleOf(down),
      accumulates(dx), handleOf(dx?.tensor), accumulates(dNorm), handleOf(dNorm?.tensor),
      accumulates(dGateUp), handleOf(dGateUp?.tensor), accumulates(dDown), handleOf(dDown?.tensor));
  }

  selfAttention(
    x: Tensor,
    norm: Norm | undefined,
    qkv: Tensor,
    o: Tensor,
    { positions, segments }: PackedRows,
    y: Tensor,
    { heads, kvHeads, headDim, rotary }: AttentionShape,
    saved?: SavedAttention,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.selfAttention!,
      positions.size, segments.size - 1, heads, kvHeads, headDim, this.#rotaries.numberOf(rotary), handleOf(positions), handleOf(segments),
      x.shape[1]!,
      handleOf(x), handleOf(norm?.weight), norm?.eps ?? 0, handleOf(saved?.input.normed?.inverseRms),
      weightHandleOf(qkv), weightHandleOf(o), handleOf(y),
      handleOf(saved?.input.operand), handleOf(saved?.qkv), handleOf(saved?.out), handleOf(saved?.logSumExp));
  }

  selfAttentionGradient(
    dy: Tensor,
    { input, qkv: savedQkv, out, logSumExp }: SavedAttention,
    qkv: Tensor,
    o: Tensor,
    { positions, segments }: PackedRows,
    { heads, kvHeads, headDim, rotary }: AttentionShape,
    dx: GradientTarget | undefined,
    dNorm: GradientTarget | undefined,
    dQkv: GradientTarget | undefined,
    dO: GradientTarget | undefined,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.selfAttentionGradient!,
      positions.size, segments.size - 1, heads, kvHeads, headDim, this.#rotaries.numberOf(rotary), handleOf(positions), handleOf(segments),
      dy.shape[1]!,
      handleOf(dy),
      handleOf(input.normed?.x), handleOf(input.normed?.norm.weight), input.normed?.norm.eps ?? 0,
      handleOf(input.normed?.inverseRms),
      handleOf(input.operand), handleOf(savedQkv), handleOf(out), handleOf(logSumExp),
      handleOf(qkv), handleOf(o),
      accumulates(dx), handleOf(dx?.tensor), accumulates(dNorm), handleOf(dNorm?.tensor),
      accumulates(dQkv), handleOf(dQkv?.tensor), accumulates(dO), handleOf(dO?.tensor));
  }

  tokenLogProbs(hidden: Tensor, head: Tensor, targets: Tensor, logProbs: Tensor, logSumExp: Tensor): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.tokenLogProbs!, targets.size, head.shape[1]!, head.shape[0]!,
      handleOf(hidden), weightHandleOf(head), handleOf(targets), handleOf(logProbs), handleOf(logSumExp));
  }

  tokenLogProbsGradient(
    dLogProbs: Tensor,
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    logSumExp: Tensor,
    dHidden: Tensor | undefined,
    accumulateDHidden: boolean,
    dHead: Tensor | undefined,
    accumulateDHead: boolean,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.tokenLogProbsGradient!,
      targets.size, head.shape[1]!, head.shape[0]!, Number(accumulateDHidden), Number(accumulateDHead),
      handleOf(dLogProbs), handleOf(hidden), weightHandleOf(head), handleOf(targets), handleOf(logSumExp),
      handleOf(dHidden), handleOf(dHead));
  }

  crossEntropyWithGradient(
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    weights: Tensor,
    loss: Tensor,
    dHidden: GradientTarget | undefined,
    dHead: GradientTarget | undefined,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.crossEntropyWithGradient!,
      targets.size, head.shape[1]!, head.shape[0]!,
      accumulates(dHidden), accumulates(dHead),
      handleOf(hidden), weightHandleOf(head), handleOf(targets), handleOf(weights),
      handleOf(loss), handleOf(dHidden?.tensor), handleOf(dHead?.tensor));
  }

  cachedSelfAttention(
    x: Tensor,
    norm: Norm | undefined,
    qkv: Tensor,
    o: Tensor,
    sequences: Tensor,
    positions: Tensor,
    keys: Tensor,
    values: Tensor,
    y: Tensor,
    { heads, kvHeads, headDim, rotary }: AttentionShape,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.cachedSelfAttention!,
      positions.size, keys.shape[0]!, keys.shape[2]!, heads, kvHeads, headDim, this.#rotaries.numberOf(rotary),
      x.shape[1]!, norm?.eps ?? 0,
      handleOf(sequences), handleOf(positions), handleOf(x), handleOf(norm?.weight),
      weightHandleOf(qkv), weightHandleOf(o), handleOf(y), handleOf(keys), handleOf(values));
  }

  decoderLayer(
    stream: Tensor,
    sequences: Tensor,
    positions: Tensor,
    keys: Tensor,
    values: Tensor,
    { attentionNorm, qkv, o, mlpNorm, gateUp, down }: DecoderLayerWeights,
    { heads, kvHeads, headDim, rotary }: AttentionShape,
    eps: number,
    postNorm: boolean,
    wanted?: Tensor,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.decoderLayer!,
      positions.size, wanted?.size ?? 0, keys.shape[0]!, keys.shape[2]!, heads, kvHeads, headDim, this.#rotaries.numberOf(rotary),
      stream.shape[1]!, down.shape[1]!, eps, Number(postNorm),
      handleOf(stream), handleOf(sequences), handleOf(positions), handleOf(wanted),
      handleOf(attentionNorm), weightHandleOf(qkv), weightHandleOf(o),
      handleOf(mlpNorm), weightHandleOf(gateUp), weightHandleOf(down),
      handleOf(keys), handleOf(values));
  }

  nextLogits(stream: Tensor, rows: Tensor, norm: Tensor, head: Tensor, logits: Tensor, eps: number): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.nextLogits!,
      stream.shape[0]!, rows.size, head.shape[1]!, head.shape[0]!, eps,
      handleOf(stream), handleOf(rows), handleOf(norm), weightHandleOf(head), handleOf(logits));
  }

  sampleTokens(
    logits: Tensor,
    draws: Tensor | undefined,
    sequences: Tensor,
    sampling: Tensor,
    seen: Tensor | undefined,
    tokens: Tensor,
    logProbs: Tensor | undefined,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.sampleTokens!,
      tokens.size, logits.shape[1]!, sampling.shape[0]!,
      handleOf(logits), handleOf(draws), handleOf(sequences), handleOf(sampling), handleOf(seen),
      handleOf(tokens), handleOf(logProbs));
  }

  drawnTokens(drawn: Tensor, tokens: Tensor): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.drawnTokens!, tokens.size, drawn.size,
      handleOf(drawn), handleOf(tokens));
  }

  addSquaredNorm(x: Tensor, sumOfSquares: Tensor): void {
    this.#library.enqueue(this.#engine, this.#op.addSquaredNorm!, x.size, handleOf(x), handleOf(sumOfSquares));
  }

  adamW(
    parameter: Tensor,
    gradient: Tensor,
    firstMoment: Tensor,
    secondMoment: Tensor,
    sumOfSquares: Tensor,
    { learningRate, beta1, beta2, epsilon, weightDecay, step, maxNorm }: AdamWStep,
  ): void {
    // biome-ignore format: one line for each group of arguments
    this.#library.enqueue(this.#engine, this.#op.adamW!,
      parameter.size, learningRate, beta1, beta2, epsilon, weightDecay, step, maxNorm,
      handleOf(parameter), handleOf(gradient), handleOf(firstMoment), handleOf(secondMoment), handleOf(sumOfSquares));
  }
}
