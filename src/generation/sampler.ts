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

function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
