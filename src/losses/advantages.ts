export interface Trajectory {
  /** [steps] */
  rewards: ArrayLike<number>;
  /** V of the state before each step, [steps]. */
  values: ArrayLike<number>;
  /** Discount of the next value: γ for every step, or one number per step ([steps]), 0 where an episode ends. */
  discount: number | ArrayLike<number>;
  lambda: number;
  /** V of the state after the last step; 0 (the default) if the episode ends there. */
  finalValue?: number;
}

/**
 * Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16), from the last step to the first:
 * δ_t = r_t + γ_t · V_{t+1} − V_t, A_t = δ_t + γ_t · λ · A_{t+1}. The returns are A + V, with A not yet whitened.
 */
export function generalisedAdvantages({ rewards, values, discount, lambda, finalValue = 0 }: Trajectory): {
  advantages: Float64Array;
  returns: Float64Array;
} {
  const steps = rewards.length;
  if (values.length !== steps) throw new Error(`${steps} rewards, but ${values.length} values`);
  const advantages = new Float64Array(steps);
  let [next, nextValue] = [0, finalValue];
  for (let t = steps - 1; t >= 0; t--) {
    const gamma = typeof discount === 'number' ? discount : discount[t]!;
    next = rewards[t]! + gamma * nextValue - values[t]! + gamma * lambda * next;
    advantages[t] = next;
    nextValue = values[t]!;
  }
  return { advantages, returns: advantages.map((advantage, t) => advantage + values[t]!) };
}
