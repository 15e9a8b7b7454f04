import { expect, it } from 'vitest';
import { symmetricEigenvalues } from '../../src/analysis/eigenvalues.ts';

const sorted = (values: ArrayLike<number>) => Array.from(values).sort((a, b) => a - b);

function expectSpectrum(n: number, elementAt: (i: number, j: number) => number, expected: (k: number) => number): void {
  const matrix = Float64Array.from({ length: n * n }, (_, i) => elementAt(Math.floor(i / n), i % n));
  const found = sorted(symmetricEigenvalues(matrix, n));
  const eigenvalues = sorted(Array.from({ length: n }, (_, k) => expected(k)));
  const size = Math.max(...eigenvalues.map(Math.abs));
  expect(found.length).toBe(n);
  for (const [k, value] of eigenvalues.entries())
    expect(Math.abs(found[k]! - value)).toBeLessThanOrEqual(1e-13 * n * size);
}

it('finds what is known of second differences: 2 − 2 cos(kπ / (n + 1))', () => {
  const second = (i: number, j: number) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0);
  for (const n of [1, 2, 3, 50]) expectSpectrum(n, second, (k) => 2 - 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
});

it('finds what is known of circulant matrices, which are dense: the transform of their row, each value twice', () => {
  for (const n of [5, 64]) {
    const row = Array.from({ length: n }, (_, d) => Math.exp(-Math.min(d, n - d) / 3));
    const transform = (k: number) => row.reduce((sum, c, d) => sum + c * Math.cos((2 * Math.PI * k * d) / n), 0);
    expectSpectrum(n, (i, j) => row[(i - j + n) % n]!, transform);
  }
});

it('finds eigenvalues far apart, and zeros', () => {
  const weights = [1e-6, 1, 1e6, 0];
  expectSpectrum(
    4,
    (i, j) => (i === j ? weights[i]! : 0),
    (k) => weights[k]!,
  );
  expectSpectrum(
    20,
    () => 0,
    () => 0,
  );
  expectSpectrum(
    20,
    () => 1,
    (k) => (k === 0 ? 20 : 0),
  );
});
