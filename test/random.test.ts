import { describe, expect, test } from 'vitest';
import { RandomStream } from '../src/random.ts';

const words = (seed: number, name: string, counter = 0, count = 8) => {
  const stream = new RandomStream(seed, name, counter);
  return Array.from({ length: count }, () => stream.uint32());
};

describe('a stream of random numbers', () => {
  test('is decided by seed and name, on every machine', () => {
    expect(words(1, 'data/epoch-0', 0, 4)).toEqual([378239308, 2348984524, 3719609853, 281549719]);
    expect(new Set([words(1, 'a'), words(2, 'a'), words(1, 'b'), words(1 + 2 ** 32, 'a')].map(String)).size).toBe(4);
  });

  test('goes on from its counter, also beyond 2³²', () => {
    expect(words(7, 'a', 3, 5)).toEqual(words(7, 'a').slice(3));
    const stream = new RandomStream(7, 'a', 2 ** 32 - 1);
    stream.uint32();
    expect(stream.counter).toBe(2 ** 32);
    expect(stream.uint32()).not.toBe(new RandomStream(7, 'a').uint32());
  });

  test('is uniform: its mean, spread and extremes', () => {
    const stream = new RandomStream(3, 'uniform');
    const draws = Array.from({ length: 20_000 }, () => stream.uniform());
    const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
    expect(mean).toBeCloseTo(0.5, 2);
    expect(draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length).toBeCloseTo(1 / 12, 2);
    expect(draws.reduce((a, b) => Math.max(a, b))).toBeLessThan(1);
    expect(draws.reduce((a, b) => Math.min(a, b))).toBeGreaterThanOrEqual(0);
  });

  test('is normal: mean 0, variance 1, and a fourth moment of 3', () => {
    const stream = new RandomStream(3, 'normal');
    const draws = Array.from({ length: 40_000 }, () => stream.normal());
    const moment = (power: number) => draws.reduce((sum, x) => sum + x ** power, 0) / draws.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.02);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.03);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.2);
  });

  test('shuffles: every order of three is as frequent, and nothing is lost', () => {
    const stream = new RandomStream(5, 'shuffle');
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = stream.shuffle([1, 2, 3]).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test('picks whole numbers below a bound', () => {
    const stream = new RandomStream(5, 'integer');
    const drawn = new Set(Array.from({ length: 200 }, () => stream.integer(5)));
    expect([...drawn].sort()).toEqual([0, 1, 2, 3, 4]);
    expect(['a', 'b']).toContain(stream.pick(['a', 'b']));
  });
});
