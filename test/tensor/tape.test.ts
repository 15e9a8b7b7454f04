import { describe, expect, test } from 'vitest';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { add, mul, sum } from '../../src/tensor/primitives.ts';
import { fromHost, scope } from '../../src/tensor/scope.ts';
import { Tape } from '../../src/tensor/tape.ts';

describe('tape', () => {
  test('recordings accumulate into the leaves, and nothing else stays allocated', async () => {
    const backend = new PortableBackend('f64');
    const x = fromHost(backend, Float64Array.of(2, 3));
    const gradient = fromHost(backend, Float64Array.of(0, 0));
    const before = backend.memory().used;
    for (let i = 0; i < 2; i++) {
      const tape = new Tape(new Map([[x, gradient]]));
      const y = tape.record(() => sum(mul(add(x, x), mul(x, x))));
      tape.backward(y);
      y.release();
    }
    expect([...(await backend.read(gradient))]).toEqual([2 * 6 * 4, 2 * 6 * 9]);
    expect(backend.memory().used).toBe(before);
  });

  test('a discarded recording gives its memory back', () => {
    const backend = new PortableBackend('f64');
    const x = fromHost(backend, Float64Array.of(2, 3));
    const gradient = fromHost(backend, Float64Array.of(0, 0));
    const before = backend.memory().used;
    const tape = new Tape(new Map([[x, gradient]]));
    tape.record(() => sum(mul(x, x))).release();
    tape.discard();
    expect(backend.memory().used).toBe(before);
  });

  test('a released tensor cannot be used', () => {
    const backend = new PortableBackend('f64');
    const x = fromHost(backend, Float64Array.of(2, 3));
    let leaked = x;
    scope(() => {
      leaked = add(x, 1);
    });
    expect(() => add(leaked, 1)).toThrow(/after its memory was released/);
  });
});
