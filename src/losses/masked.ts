/** Mean of the elements whose mask is not 0; NaN if there are none. */
export function maskedMean(x: ArrayLike<number>, mask: ArrayLike<number>): number {
  let [total, count] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    if (!mask[i]) continue;
    total += x[i]!;
    count++;
  }
  return total / count;
}

/** Unbiased variance (divided by n − 1) of the elements whose mask is not 0. */
export function maskedVariance(x: ArrayLike<number>, mask: ArrayLike<number>): number {
  const mean = maskedMean(x, mask);
  let [total, count] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    if (!mask[i]) continue;
    total += (x[i]! - mean) ** 2;
    count++;
  }
  return total / (count - 1);
}

/**
 * Divides the elements whose mask is not 0 by √(variance + 1e-8) and sets the others to 0. `mean` says what happens to
 * the mean:
 *
 * - `remove`: the result has mean 0, for PPO's advantages (TRL's `shift_mean=True`)
 * - `keep`: the result has the mean of x, for whitened rewards (TRL's `shift_mean=False`)
 *
 * torchtune's `shift_mean` means the opposite of TRL's. Throws if fewer than two elements are unmasked or one of them
 * is not finite.
 */
export function whiten(x: ArrayLike<number>, mask: ArrayLike<number>, mean: 'remove' | 'keep'): Float64Array {
  const centre = maskedMean(x, mask);
  const variance = maskedVariance(x, mask);
  if (!Number.isFinite(variance)) throw new Error('whitening needs at least two finite elements under the mask');
  const scale = 1 / Math.sqrt(variance + 1e-8);
  const shift = mean === 'keep' ? centre : 0;
  return Float64Array.from(x, (value, i) => (mask[i] ? (value - centre) * scale + shift : 0));
}
