import type { RandomStream } from '../random.ts';
import type { Sampling } from '../tensor/backends/kernels/sampling.ts';

export type { Sampling };

/** The result of sampling from logits that are not all finite. */
export const noToken = -1;

/** Samples from the model's unmodified distribution. */
export const unfiltered: Sampling = { repetitionPenalty: 1, temperature: 1, topK: 0, topP: 1, minP: 0 };
export const greedy: Sampling = { ...unfiltered, temperature: 0 };

/**
 * Samples the next token from a row of logits [vocabulary]. This is the definition of sampling; backends may have a
 * kernel for it (`SamplingKernels`). `seen` are the tokens of the text so far, needed for a repetition penalty. Returns
 * `noToken` (−1) if a logit is not finite.
 */
export function sampleToken(
  logits: ArrayLike<number>,
  sampling: Sampling,
  random: RandomStream,
  seen?: ReadonlySet<number>,
): number {
  if (!areFinite(logits)) return noToken;
  const { repetitionPenalty, temperature, topK, topP, minP } = sampling;
  if (repetitionPenalty !== 1 && seen) {
    return sampleToken(penalised(logits, repetitionPenalty, seen), { ...sampling, repetitionPenalty: 1 }, random);
  }
  if (temperature === 0) return argmax(logits);
  if (topK === 0 && topP === 1 && minP === 0) return sampleAny(logits, temperature, random);
  let candidates = Array.from(logits, (logit, id) => ({ id, logit }));
  candidates.sort((a, b) => b.logit - a.logit || a.id - b.id);
  if (topK > 0) candidates = candidates.slice(0, topK);
  const largest = candidates[0]!.logit;
  const weights = candidates.map(({ logit }) => Math.exp((logit - largest) / temperature));
  const mass = weights.reduce((a, b) => a + b, 0);
  let [kept, total] = [0, 0];
  while (kept < weights.length && (topP === 1 || total < topP * mass) && weights[kept]! >= minP) {
    total += weights[kept++]!;
  }
  let rest = random.uniform() * total;
  const choice = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  return candidates[choice < 0 || choice >= kept ? kept - 1 : choice]!.id;
}

function areFinite(logits: ArrayLike<number>): boolean {
  let nothing = 0;
  for (let i = 0; i < logits.length; i++) nothing += logits[i]! * 0;
  return nothing === 0;
}

function penalised(logits: ArrayLike<number>, penalty: number, seen: ReadonlySet<number>): Float64Array {
  const changed = Float64Array.from(logits);
  for (const id of seen) changed[id] = changed[id]! > 0 ? changed[id]! / penalty : changed[id]! * penalty;
  return changed;
}

/** Samples from the whole distribution without sorting it, as reinforcement learning does most of the time. */
function sampleAny(logits: ArrayLike<number>, temperature: number, random: RandomStream): number {
  const largest = logits[argmax(logits)]!;
  const weights = new Float64Array(logits.length);
  let total = 0;
  for (let id = 0; id < weights.length; id++) total += weights[id] = Math.exp((logits[id]! - largest) / temperature);
  let rest = random.uniform() * total;
  for (let id = 0; id < weights.length; id++) {
    rest -= weights[id]!;
    if (rest < 0) return id;
  }
  return argmax(logits);
}

/** log softmax(logits / temperature)[token], in nats; for greedy decoding, temperature 0, at temperature 1. */
export function tokenLogProb(logits: ArrayLike<number>, token: number, temperature: number): number {
  const scale = 1 / (temperature || 1);
  const largest = logits[argmax(logits)]!;
  let total = 0;
  for (let id = 0; id < logits.length; id++) total += Math.exp((logits[id]! - largest) * scale);
  return (logits[token]! - largest) * scale - Math.log(total);
}

function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
