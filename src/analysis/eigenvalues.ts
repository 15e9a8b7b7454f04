/**
 * Eigenvalues of a symmetric matrix [n, n] in double precision, in no order; the matrix is overwritten. It is made
 * tridiagonal by Householder reflections, whose eigenvalues come from the implicit QL algorithm (Golub and Van Loan
 * 2013, "Matrix Computations", section 8.3). 4/3·n³ operations.
 */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const diagonal = new Float64Array(n);
  /** Element i is beside diagonal elements i and i + 1. */
  const beside = new Float64Array(n);
  for (let k = 0; k + 2 < n; k++) beside[k] = reflectColumn(matrix, n, k);
  if (n > 1) beside[n - 2] = matrix[(n - 1) * n + n - 2]!;
  for (let i = 0; i < n; i++) diagonal[i] = matrix[i * n + i]!;
  return tridiagonalEigenvalues(diagonal, beside);
}

/** A ← (I − β·v·vᵀ)·A·(I − β·v·vᵀ) below and right of element (k, k), so that column k is 0 below what is returned. */
function reflectColumn(a: Float64Array, n: number, k: number): number {
  const v = new Float64Array(n);
  let norm = 0;
  for (let i = k + 1; i < n; i++) {
    v[i] = a[i * n + k]!;
    norm = Math.hypot(norm, v[i]!);
  }
  if (norm === 0) return 0;
  const beside = v[k + 1]! > 0 ? -norm : norm;
  v[k + 1]! -= beside;
  const beta = 1 / (-beside * v[k + 1]!);
  const p = new Float64Array(n);
  let overlap = 0;
  for (let i = k + 1; i < n; i++) {
    let sum = 0;
    for (let j = k + 1; j < n; j++) sum += a[i * n + j]! * v[j]!;
    p[i] = beta * sum;
    overlap += p[i]! * v[i]!;
  }
  for (let i = k + 1; i < n; i++) p[i]! -= ((beta * overlap) / 2) * v[i]!;
  for (let i = k + 1; i < n; i++) {
    for (let j = k + 1; j < n; j++) a[i * n + j]! -= v[i]! * p[j]! + p[i]! * v[j]!;
  }
  return beside;
}

/** Sweeps that an eigenvalue may take; two are usual. */
const mostSweeps = 60;

function tridiagonalEigenvalues(d: Float64Array, e: Float64Array): Float64Array {
  const n = d.length;
  for (let first = 0; first < n; first++) {
    for (let sweep = 0; ; sweep++) {
      let last = first;
      while (last + 1 < n && !isNegligible(e[last]!, d[last]!, d[last + 1]!)) last++;
      if (last === first) break;
      if (sweep === mostSweeps) throw new Error('the eigenvalues of a matrix were not found: is it finite?');
      sweepUp(d, e, first, last);
    }
  }
  return d;
}

const isNegligible = (beside: number, a: number, b: number): boolean => {
  const size = Math.abs(a) + Math.abs(b);
  return Math.abs(beside) + size === size;
};

/** One implicit QL step with Wilkinson's shift on the rows from `first` to `last`. */
function sweepUp(d: Float64Array, e: Float64Array, first: number, last: number): void {
  const half = (d[first + 1]! - d[first]!) / (2 * e[first]!);
  const root = Math.hypot(half, 1);
  let g = d[last]! - d[first]! + e[first]! / (half + (half < 0 ? -root : root));
  let [sine, cosine, shift] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    const length = Math.hypot(f, g);
    e[i + 1] = length;
    if (length === 0) {
      d[i + 1]! -= shift;
      e[last] = 0;
      return;
    }
    [sine, cosine] = [f / length, g / length];
    g = d[i + 1]! - shift;
    const turned = (d[i]! - g) * sine + 2 * cosine * b;
    shift = sine * turned;
    d[i + 1] = g + shift;
    g = cosine * turned - b;
  }
  d[first]! -= shift;
  e[first] = g;
  e[last] = 0;
}
