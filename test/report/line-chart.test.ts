import { describe, expect, it } from 'vitest';
import type { Curve, LineChart } from '../../src/report/curve.ts';
import { lineChart, logTicks } from '../../src/report/line-chart.ts';

const chart = (values: readonly number[], over: Partial<LineChart> = {}, curve: Partial<Curve> = {}): LineChart => ({
  title: 'Loss',
  description: 'Loss: mix from 4 to 2.',
  xLabel: 'step',
  kind: { label: 'loss' },
  curves: [{ name: 'mix', colour: 1, mark: 'line', points: values.map((y, i) => [i + 1, y]), ...curve }],
  ...over,
});

/** What is written at the axes, from below and from the left. */
const labels = (figure: LineChart) =>
  [...lineChart(figure).text.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, label]) => label);

/** The lines of the curve in the second colour, each a list of `x y`. */
function lines(figure: LineChart): string[][] {
  const paths = [...lineChart(figure).text.matchAll(/<path d="([^"]*)"[^>]* stroke="var\(--c1,/g)];
  return paths.flatMap(([, d]) => d!.split('M').slice(1)).map((line) => line.split('L'));
}

describe('lineChart', () => {
  it('is logarithmic where positive values span more than a factor of three', () => {
    const text = (values: readonly number[], over?: Partial<LineChart>) => lineChart(chart(values, over)).text;
    expect(text([1.4, 6])).toContain('log scale');
    expect(text([4, 5])).not.toContain('log scale');
    expect(text([-1, 6])).not.toContain('log scale');
    expect(text([1e-5, 1e-3], { kind: { label: 'learning rate', linear: true } })).not.toContain('log scale');
    expect(labels(chart([1.4, 6]))).toEqual(expect.arrayContaining(['1.5', '2', '3', '4', '5', '6']));
  });

  it('writes shares in per cent and does not leave 0 to 100 %', () => {
    const shares = (values: readonly number[]) =>
      labels(chart(values, { kind: { label: 'accuracy', share: true } })).filter((label) => label?.endsWith('%'));
    expect(shares([0, 0.4, 1])).toEqual(['0%', '20%', '40%', '60%', '80%', '100%']);
    for (const lowest of [0.97, 0.86, 0.843, 0.5, 0.1]) expect(shares([lowest, 1]).at(-1)).toBe('100%');
  });

  it('names categories in place of steps', () => {
    expect(labels(chart([1, 2, 1.5], { categories: ['pretrain', 'sft', 'dpo'] }))).toEqual(
      expect.arrayContaining(['pretrain', 'sft', 'dpo']),
    );
  });

  it('has a gap where a value is not finite, and counts it', () => {
    const broken = chart([3, 4, Number.NaN, 5, Number.POSITIVE_INFINITY, 4, 3]);
    expect(lines(broken).map((line) => line.length)).toEqual([2, 1, 2]);
    expect(lineChart(broken).text).toContain('Not finite, so left out: 2 of the values.');
    expect(lineChart(chart([Number.NaN, Number.NaN])).text).not.toMatch(/ d="[^"]*(NaN|Infinity)/);
  });

  it('keeps a spike among thousands of points, of which it draws few', () => {
    const values = Array.from({ length: 5000 }, (_, i) => (i === 3217 ? 40 : 20 + Math.sin(i / 300)));
    const [line] = lines(chart(values));
    expect(line!.length).toBeLessThan(500);
    const heights = line!.map((point) => Number(point.split(' ')[1])).sort((a, b) => a - b);
    expect(heights[1]! - heights[0]!).toBeGreaterThan(150);
  });

  it('draws whiskers of one standard deviation where there are several seeds', () => {
    const withWhiskers = lines(chart([4, 5], {}, { mark: 'dots', deviations: [0.5, undefined] }));
    const whisker = withWhiskers.find(([from, to]) => from!.split(' ')[0] === to!.split(' ')[0]);
    expect(whisker).toHaveLength(2);
    expect(withWhiskers).toHaveLength(lines(chart([4, 5], {}, { mark: 'dots' })).length + 1);
  });

  it('has no logarithms where a whisker reaches below zero, and no shares below it', () => {
    const noisy = { mark: 'dots', deviations: [0, 1.5] } as const;
    expect(lineChart(chart([9, 1], {}, noisy)).text).not.toContain('log scale');
    const share = { kind: { label: 'accuracy', share: true } };
    expect(labels(chart([0.9, 0.1], share, { ...noisy, deviations: [0.2, 0.2] }))).toEqual(
      expect.arrayContaining(['0%', '100%']),
    );
    expect(labels(chart([0.9, 0.1], share, { ...noisy, deviations: [0.2, 0.2] }))).not.toContain('120%');
  });

  it('has no logarithms where no axis could hold the values', () => {
    expect(lineChart(chart([1e308, 1e-308])).text).not.toContain('log scale');
  });

  it('gives the script the values that were recorded, in words', () => {
    const { text } = lineChart(chart([4.125, 2.5], {}, { detail: 'held out' }));
    const { curves, stops } = JSON.parse(/<script type="application\/json">(.*)<\/script>/.exec(text)![1]!);
    expect(curves).toEqual([['mix, held out', 1]]);
    expect(stops.map(([, ...rest]: unknown[]) => rest)).toEqual([
      ['step 1', ['4.13']],
      ['step 2', ['2.50']],
    ]);
  });
});

describe('logTicks', () => {
  it('takes the sparsest set of round numbers that has four', () => {
    expect(logTicks(1.4, 6.5)).toEqual([1.5, 2, 3, 4, 5, 6]);
    expect(logTicks(0.02, 3)).toEqual([0.03, 0.1, 0.3, 1, 3]);
    expect(logTicks(1, 10_000)).toEqual([1, 10, 100, 1000, 10_000]);
  });
});
