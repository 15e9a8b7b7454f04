import { describe, expect, it } from 'vitest';
import { linearAxis, logAxis, valueAxis } from '../../src/report/axis.ts';

const labels = (axis: { ticks: readonly { label: string }[] }) => axis.ticks.map(({ label }) => label);

describe('linearAxis', () => {
  it('puts ticks at round numbers inside the range', () => {
    expect(labels(linearAxis(0, 600))).toEqual(['0', '100', '200', '300', '400', '500', '600']);
    expect(labels(linearAxis(-1.3, 0.9))).toEqual(['−1', '−0.5', '0', '0.5']);
    expect(labels(linearAxis(0, 0.004))).toEqual(['0', '0.001', '0.002', '0.003', '0.004']);
    expect(labels(linearAxis(0, 25_000))).toEqual(['0', '5000', '10k', '15k', '20k', '25k']);
  });

  it('has room around a single value', () => {
    const axis = linearAxis(3, 3);
    expect(axis.position(3)).toBe(0.5);
    expect(axis.ticks.length).toBeGreaterThan(2);
    expect(linearAxis(0, 0).position(0)).toBe(0.5);
  });
});

describe('logAxis', () => {
  it('takes the sparsest set of ticks that has four', () => {
    expect(labels(logAxis(1.4, 6.5))).toEqual(['1.5', '2', '3', '4', '5', '6']);
    expect(labels(logAxis(0.02, 3))).toEqual(['0.03', '0.1', '0.3', '1', '3']);
    expect(labels(logAxis(1, 10_000))).toEqual(['1', '10', '100', '1000', '10k']);
  });

  it('maps equal ratios to equal distances', () => {
    const axis = logAxis(1, 100);
    expect(axis.position(10)).toBeCloseTo(0.5, 12);
    expect(axis.position(100)).toBe(1);
  });
});

describe('valueAxis', () => {
  it('is logarithmic where positive values span more than a factor of three', () => {
    expect(valueAxis([1.4, 6]).kind).toBe('log');
    expect(valueAxis([4, 5]).kind).toBe('linear');
    expect(valueAxis([-1, 6]).kind).toBe('linear');
    expect(valueAxis([1e-5, 1e-3], { linear: true }).kind).toBe('linear');
  });

  it('writes shares in per cent and does not leave 0 to 100 %', () => {
    const axis = valueAxis([0, 1], { share: true });
    expect([axis.min, axis.max]).toEqual([0, 1]);
    expect(labels(axis)).toEqual(['0%', '20%', '40%', '60%', '80%', '100%']);
  });

  it('leaves out what is not finite', () => {
    const axis = valueAxis([1, Number.NaN, Number.POSITIVE_INFINITY, 2]);
    expect(axis.min).toBeCloseTo(0.96, 12);
    expect(axis.max).toBeCloseTo(2.04, 12);
    expect(valueAxis([Number.NaN]).ticks.length).toBeGreaterThan(2);
  });
});
