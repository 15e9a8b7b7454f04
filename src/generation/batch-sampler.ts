import type { RandomStream } from '../random.ts';
import type { Backend, HostArray } from '../tensor/backends/backend.ts';
import { empty, fromHost, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { noToken, type Sampling, sampleToken, tokenLogProb } from './sampler.ts';

/** Tokens drawn for some sequences, and where asked for the log-probability of each. */
export interface Drawn {
  tokens: HostArray;
  logProbs?: HostArray;
}

/** A draw that may not have happened yet. */
export interface Draw {
  result: Promise<Drawn>;
  /** Where the backend draws: the tokens, to be decoded before they are read. */
  tokens?: Tensor;
  release(): void;
}

/** Draws the next tokens of sequences that are generated side by side. */
export interface BatchSampler {
  /** A text begins in this place of the batch and draws from a stream of its own. */
  begin(sequence: number, prompt: Int32Array, random: RandomStream): void;
  /** One token for each row of logits [rows, vocabulary]. */
  draw(logits: Tensor, sequences: readonly number[]): Draw;
  release(): void;
}

export interface SamplerOptions {
  sequences: number;
  vocabulary: number;
  sampling: Sampling;
  /** Report log-probabilities at the temperature, over the whole vocabulary. */
  logProbs: boolean;
}

export function openSampler(backend: Backend, options: SamplerOptions): BatchSampler {
  return backend.fused.sampleTokens ? kernelSampler(backend, options) : hostSampler(options);
}

/** Reads the logits and draws by the definition. */
function hostSampler({ vocabulary, sampling, logProbs: wanted }: SamplerOptions): BatchSampler {
  const texts = new Map<number, { random: RandomStream; seen: Set<number> }>();
  const draw = (all: Float32Array | Float64Array, sequences: readonly number[]): Drawn => {
    const [tokens, logProbs] = [new Int32Array(sequences.length), new Float64Array(sequences.length)];
    for (const [i, sequence] of sequences.entries()) {
      const row = all.subarray(i * vocabulary, (i + 1) * vocabulary);
      const { random, seen } = texts.get(sequence)!;
      const token = sampleToken(row, sampling, random, seen);
      seen.add(token);
      tokens[i] = token;
      if (wanted) logProbs[i] = token === noToken ? Number.NaN : tokenLogProb(row, token, sampling.temperature);
    }
    return wanted ? { tokens, logProbs } : { tokens };
  };
  return {
    begin: (sequence, prompt, random) => texts.set(sequence, { random, seen: new Set(prompt) }),
    draw(logits, sequences) {
      const result = logits.backend.read(logits).then((all) => draw(all as Float32Array | Float64Array, sequences));
      return { result, release: () => {} };
    },
    release: () => {},
  };
}

/** Draws where the logits are; only tokens come back. */
function kernelSampler(backend: Backend, options: SamplerOptions): BatchSampler {
  const { sampling, vocabulary, logProbs: wanted } = options;
  const streams = new Map<number, RandomStream>();
  const words = Math.ceil(vocabulary / 32);
  const seen = sampling.repetitionPenalty === 1 ? undefined : empty(backend, [options.sequences, words], 'i32');
  return {
    begin(sequence, prompt, random) {
      streams.set(sequence, random);
      if (!seen) return;
      const marks = new Int32Array(words);
      for (const token of prompt) marks[token >> 5]! |= 1 << (token & 31);
      backend.write(seen, marks, sequence * words);
    },
    draw(logits, sequences) {
      const count = sequences.length;
      const draws = new Int32Array(2 * count);
      const isRandom = sampling.temperature > 0;
      for (let i = 0; isRandom && i < count; i++) {
        const random = streams.get(sequences[i]!)!;
        draws[2 * i] = random.uint32();
        draws[2 * i + 1] = random.uint32();
      }
      const [tokens, logProbs] = scope(
        () => {
          const tokens = empty(backend, [count], 'i32');
          const logProbs = wanted ? empty(backend, [count]) : undefined;
          const places = fromHost(backend, Int32Array.from(sequences));
          const uniform = isRandom ? fromHost(backend, draws) : undefined;
          backend.fused.sampleTokens!(logits, uniform, places, seen, tokens, logProbs, sampling);
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
    release: () => seen?.release(),
  };
}
