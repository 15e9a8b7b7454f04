import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { RandomStream } from '../../src/random.ts';
import { bootstrapInterval } from '../../src/statistics/bootstrap.ts';
import { mcnemarP } from '../../src/statistics/mcnemar.ts';
import { effectSize, pairedDifference } from '../../src/statistics/paired-difference.ts';
import { signFlipP } from '../../src/statistics/sign-flip.ts';

interface Fixture {
  paired: {
    differences: number[];
    p: number;
    interval: [number, number];
    effectSize: number;
    signFlip: number | null;
  }[];
  mcnemar: { counts: [number, number]; p: number }[];
  bootstrap: { differences: number[][]; interval: [number, number] }[];
}

const fixture: Fixture = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/statistics.json'), 'utf8'));

const bySeed = (values: readonly number[]) => new Map(values.map((value, seed) => [seed, value]));

describe('what scipy makes of the same numbers', () => {
  it.each(fixture.paired)('p, interval and effect size of $differences', ({ differences, ...expected }) => {
    const found = pairedDifference(bySeed(differences.map(() => 0)), bySeed(differences));
    expect(found.p).toBeCloseTo(expected.p, 10);
    expect(found.interval![0]).toBeCloseTo(expected.interval[0], 9);
    expect(found.interval![1]).toBeCloseTo(expected.interval[1], 9);
    expect(effectSize(found)).toBeCloseTo(expected.effectSize, 12);
    if (expected.signFlip !== null) expect(found.signFlipP).toBeCloseTo(expected.signFlip, 12);
  });

  it.each(fixture.mcnemar)('McNemar of $counts', ({ counts: [first, second], p }) => {
    expect(mcnemarP(first, second)).toBeCloseTo(p, 10);
  });
});

test('McNemar of two models that are right on the same items is 1', () => {
  expect(mcnemarP(0, 0)).toBe(1);
});

describe('flipping signs at random', () => {
  it('comes to about the p of t where differences are normal', () => {
    const random = new RandomStream(3, 'normal');
    for (const effect of [0, 0.2, 0.4]) {
      const differences = Array.from({ length: 40 }, () => effect + random.normal());
      const { p } = pairedDifference(bySeed(differences.map(() => 0)), bySeed(differences));
      expect(Math.abs(signFlipP(differences) - p!), `effect ${effect}`).toBeLessThan(0.02);
    }
  });

  it('is never certain', () => {
    expect(signFlipP(new Array(30).fill(1))).toBe(1 / 10_000);
  });
});

it.each(fixture.bootstrap)('bootstraps to what enumerating every draw gives, %#', ({ differences, interval }) => {
  const found = bootstrapInterval(differences);
  const width = interval[1] - interval[0];
  expect(Math.abs(found[0] - interval[0])).toBeLessThan(0.06 * width);
  expect(Math.abs(found[1] - interval[1])).toBeLessThan(0.06 * width);
});
