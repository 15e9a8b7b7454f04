import type { RandomStream } from '../random.ts';

export interface Sampling {
  /** 0 = greedy. */
  temperature: number;
  /** Keep the k likeliest tokens; 0 = all. */
  topK: number;
  /** Keep the likeliest tokens that together have this probability; 1 = all. */
  topP: number;
}

export const greedy: Sampling = { temperature: 0, topK: 0, topP: 1 };

/** The next token for one row of logits [vocabulary]: temperature, then top-k, then top-p (Holtzman et al. 2020). */
export function sampleToken(logits: ArrayLike<number>, sampling: Sampling, random: RandomStream): number {
  if (sampling.temperature === 0) return argmax(logits);
  if (sampling.topK === 0 && sampling.topP === 1) return sampleAny(logits, sampling.temperature, random);
  let candidates = Array.from(logits, (logit, id) => ({ id, logit: logit / sampling.temperature }));
  candidates.sort((a, b) => b.logit - a.logit || a.id - b.id);
  if (sampling.topK > 0) candidates = candidates.slice(0, sampling.topK);
  const largest = candidates[0]!.logit;
  const weights = candidates.map(({ logit }) => Math.exp(logit - largest));
  let total = weights.reduce((a, b) => a + b, 0);
  if (sampling.topP < 1) {
    let [kept, mass] = [0, 0];
    while (kept < weights.length && mass < sampling.topP * total) mass += weights[kept++]!;
    weights.length = kept;
    total = mass;
  }
  let rest = random.uniform() * total;
  const choice = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  return candidates[choice < 0 ? weights.length - 1 : choice]!.id;
}

/** From the whole distribution, without sorting it: what reinforcement learning samples, and most of its time. */
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

/** log softmax(logits / temperature)[token]; greedy decoding has temperature 0 and is read at 1. */
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
