/**
 * P(|T| ≥ |t|) of Student's t with `freedom` degrees of freedom: I_x(ν/2, 1/2) with x = ν / (ν + t²) (Abramowitz and
 * Stegun 1964, 26.7.1).
 */
export function twoSidedP(t: number, freedom: number): number {
  if (Number.isNaN(t)) return Number.NaN;
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/** The t for which P(T ≤ t) is `probability`, 0.5 or more. */
export function quantile(probability: number, freedom: number): number {
  const tail = 2 * (1 - probability);
  let [low, high] = [0, 1];
  while (twoSidedP(high, freedom) > tail) high *= 2;
  while (high - low > 1e-12 * high) {
    const middle = (low + high) / 2;
    if (twoSidedP(middle, freedom) > tail) low = middle;
    else high = middle;
  }
  return high;
}

/** I_x(a, b), by Lentz's method for its continued fraction (Abramowitz and Stegun 1964, 26.5.8), best for small x. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logBeta(a, b)) / a;
  let numerator = 1;
  let denominator = 1 / (1 - ((a + b) * x) / (a + 1));
  let fraction = denominator;
  for (let m = 1; m < 1000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const before = fraction;
    for (const term of [even, odd]) {
      denominator = 1 / (1 + term * denominator);
      numerator = 1 + term / numerator;
      fraction *= denominator * numerator;
    }
    if (Math.abs(fraction - before) < 1e-15 * fraction) break;
  }
  return front * fraction;
}

const logBeta = (a: number, b: number): number => logGamma(a) + logGamma(b) - logGamma(a + b);

/** log Γ(z) for z > 0, by Stirling's series after recurrence to z ≥ 10 (Abramowitz and Stegun 1964, 6.1.41). */
function logGamma(z: number): number {
  let [shifted, product] = [z, 1];
  while (shifted < 10) product *= shifted++;
  const inverse = 1 / shifted;
  const square = inverse * inverse;
  const series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)));
  return (shifted - 0.5) * Math.log(shifted) - shifted + Math.log(2 * Math.PI) / 2 + series - Math.log(product);
}
