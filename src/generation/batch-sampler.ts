import type { RandomStream } from '../random.ts';
import type { Backend, HostArray } from '../tensor/backends/backend.ts';
import { type SamplingKernels, samplingWords, wordsOf } from '../tensor/backends/kernels/sampling.ts';
import { empty, fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { noToken, type Sampling, sampleToken, tokenLogProb } from './sampler.ts';

/** Tokens drawn for some sequences and, if requested, the log-probability of each. */
export interface Drawn {
  tokens: HostArray;
  logProbs?: HostArray;
}

/** A draw that may not have happened yet. */
export interface Draw {
  result: Promise<Drawn>;
  /** If the backend draws: the tokens, which the next step can use before they are read. */
  tokens?: Tensor;
  release(): void;
}

/** A text and how its tokens are sampled. */
export interface SampledText {
  prompt: Int32Array;
  sampling: Sampling;
  /** The text's own stream of random numbers. */
  random: RandomStream;
}

/** Draws the next tokens of sequences that are generated together, each with its own sampling options. */
export interface BatchSampler {
  /** Begins a text in the given place of the batch. */
  begin(sequence: number, text: SampledText): void;
  /**
   * Draws one token for each row of logits [rows, vocabulary]; `sequences` [rows] are the places of their texts. With
   * `logProbs` also gives its log-probability over the whole vocabulary, at the temperature of its text.
   */
  draw(logits: Tensor, sequences: readonly number[], options: { logProbs: boolean }): Draw;
  release(): void;
}

export interface SamplerOptions {
  sequences: number;
  vocabulary: number;
}

export function openSampler(backend: Backend, options: SamplerOptions): BatchSampler {
  const kernels = backend.kernels.sampling;
  return kernels ? kernelSampler(backend, kernels, options) : hostSampler(options);
}

/** Reads the logits and samples on the host, as `sampleToken` defines. */
function hostSampler({ vocabulary }: SamplerOptions): BatchSampler {
  const texts = new Map<number, SampledText & { seen: Set<number> }>();
  const draw = (all: Float32Array | Float64Array, sequences: readonly number[]): Required<Drawn> => {
    const [tokens, logProbs] = [new Int32Array(sequences.length), new Float64Array(sequences.length)];
    for (const [i, sequence] of sequences.entries()) {
      const row = all.subarray(i * vocabulary, (i + 1) * vocabulary);
      const { sampling, random, seen } = texts.get(sequence)!;
      const token = sampleToken(row, sampling, random, seen);
      seen.add(token);
      tokens[i] = token;
      logProbs[i] = token === noToken ? Number.NaN : tokenLogProb(row, token, sampling.temperature);
    }
    return { tokens, logProbs };
  };
  return {
    begin: (sequence, text) => texts.set(sequence, { ...text, seen: new Set(text.prompt) }),
    draw(logits, sequences) {
      const result = logits.backend.read(logits).then((all) => draw(all as Float32Array | Float64Array, sequences));
      return { result, release: () => {} };
    },
    release: () => {},
  };
}

/** Samples with the backend's kernel, so that only the tokens have to be read. */
function kernelSampler(
  backend: Backend,
  kernels: SamplingKernels,
  { sequences: count, vocabulary }: SamplerOptions,
): BatchSampler {
  const texts = new Map<number, SampledText>();
  const samplings = empty(backend, [count, samplingWords], 'i32');
  const words = Math.ceil(vocabulary / 32);
  /** Allocated for the first text with a repetition penalty. */
  let seen: Tensor | undefined;
  return {
    begin(sequence, text) {
      const { prompt, sampling } = text;
      texts.set(sequence, text);
      backend.write(samplings, wordsOf(sampling), sequence * samplingWords);
      if (sampling.repetitionPenalty === 1) return;
      seen ??= empty(backend, [count, words], 'i32');
      const marks = new Int32Array(words);
      for (const token of prompt) marks[token >> 5]! |= 1 << (token & 31);
      backend.write(seen, marks, sequence * words);
    },
    draw(logits, sequences, { logProbs: wanted }) {
      const rows = sequences.map((sequence) => texts.get(sequence)!);
      const isRandom = rows.some(({ sampling }) => sampling.temperature > 0);
      const [tokens, logProbs] = scope(
        () => {
          const tokens = empty(backend, [rows.length], 'i32');
          const logProbs = wanted ? empty(backend, [rows.length]) : undefined;
          const draws = isRandom ? fromHost(backend, uniforms(rows)) : undefined;
          const places = fromHost(backend, Int32Array.from(sequences));
          kernels.draw({ logits, draws, sequences: places, samplings, seen, tokens, logProbs });
          return [tokens, logProbs] as const;
        },
        { adopt: false },
      );
      const reads = [backend.read(tokens), ...(logProbs ? [backend.read(logProbs)] : [])];
      const result = Promise.all(reads).then(([tokens, logProbs]) => ({
        tokens: tokens!,
        ...(logProbs && { logProbs }),
      }));
      const release = (): void => {
        tokens.release();
        logProbs?.release();
      };
      return { result, tokens, release };
    },
    release() {
      samplings.release();
      seen?.release();
    },
  };
}

/** The two 32-bit words of a uniform random number for each text, [texts, 2]; zeros for greedy ones. */
function uniforms(texts: readonly SampledText[]): Int32Array {
  const words = new Int32Array(2 * texts.length);
  for (const [i, { sampling, random }] of texts.entries()) {
    if (sampling.temperature === 0) continue;
    words[2 * i] = random.uint32();
    words[2 * i + 1] = random.uint32();
  }
  return words;
}
