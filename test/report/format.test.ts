import { describe, expect, it } from 'vitest';
import { metricKind, metricSubject, subjectLabel } from '../../src/evaluation/metrics.ts';
import {
  formatDifference,
  formatMetric,
  formatNumber,
  formatRelative,
  formatSeconds,
  formatSpread,
  formatTick,
} from '../../src/report/format.ts';

const share = metricKind('town/questions/exactMatch');
const plain = metricKind('perplexity');

/** Numbers and units are kept on one line by no-break spaces; here they are plain ones. */
const spaced = (text: string) => text.replaceAll('\u00a0', ' ');

describe('metricKind', () => {
  it('knows direction and unit by the last part of the name', () => {
    expect(share).toMatchObject({ label: 'exact match', better: 'higher', share: true });
    for (const lower of ['books/perplexity', 'loss', 'held out/loss', 'nll', 'calibrationError']) {
      expect(metricKind(lower), lower).toMatchObject({ better: 'lower' });
    }
    for (const higher of ['accuracy', 'held out/accuracy', 'margin', 'reward', 'verifiedReward', 'winRate']) {
      expect(metricKind(higher), higher).toMatchObject({ better: 'higher' });
    }
    for (const neither of ['kl', 'entropy', 'responseLength', 'endRate', 'score']) {
      expect(metricKind(neither).better, neither).toBe(undefined);
    }
    expect(metricKind('town/questions/accuracy').label).toBe('accuracy');
    expect(metricKind('held out/accuracy').label).toBe('reward accuracy');
    expect(metricSubject('town/questions/exactMatch')).toBe('town/questions');
    expect(metricSubject('loss')).toBe('');
    expect(subjectLabel('/home/ada/data/arc-easy.json/accuracy')).toBe('arc-easy.json');
    expect(subjectLabel('../shared/data/books/perplexity')).toBe('books');
    expect(subjectLabel('town/questions/accuracy')).toBe('town/questions');
  });

  it('writes an unlisted name in words and does not judge it', () => {
    expect(metricKind('endOfSequenceRate')).toEqual({ label: 'end of sequence rate' });
    expect(metricKind('constructor').label).toBe('constructor');
  });
});

describe('formatting', () => {
  it.each([
    [0, '0'],
    [4.3412, '4.34'],
    [0.23456, '0.235'],
    [0.07, '0.0700'],
    [123.456, '123.5'],
    [1409.09, '1,409'],
    [1_050_624, '1,050,624'],
    [4, '4.00'],
    [1e-5, '1.00e−5'],
    [-2.5, '−2.50'],
    [Number.NaN, 'not a number'],
    [Number.POSITIVE_INFINITY, '∞'],
    [Number.NEGATIVE_INFINITY, '−∞'],
  ])('%d is written %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it('writes shares in per cent and their differences in points', () => {
    expect(formatMetric(50, metricKind('rows'))).toBe('50');
    expect(spaced(formatMetric(0.8634, share))).toBe('86.3 %');
    expect(spaced(formatDifference(0.0312, share))).toBe('+3.1 points');
    expect(spaced(formatDifference(-0.0312, share))).toBe('−3.1 points');
    expect(spaced(formatDifference(-0.0001, share))).toBe('0.0 points');
    expect(formatDifference(-0.193, plain)).toBe('−0.193');
    expect(formatDifference(Number.NaN, plain)).toBe('–');
    expect(spaced(formatRelative(-0.0444))).toBe('−4.4 %');
  });

  it.each([
    [0, '0'],
    [-0.5, '−0.5'],
    [0.2 + 0.1, '0.3'],
    [1500, '1.5K'],
    [2_000_000, '2M'],
    [0.00002, '2E−5'],
  ])('%d at an axis is %s', (value, text) => {
    expect(formatTick(value)).toBe(text);
  });

  it('gives a deviation the decimals of its mean', () => {
    expect(spaced(formatSpread(4.3412, 0.0488, plain))).toBe('4.34 ± 0.05');
    expect(spaced(formatSpread(0.863, 0.0112, share))).toBe('86.3 ± 1.1 %');
    expect(spaced(formatSpread(0.863, undefined, share))).toBe('86.3 %');
    expect(formatSpread(Number.NaN, 1, plain)).toBe('not a number');
  });

  it.each([
    [48.24, '48.2 s'],
    [192, '3 min 12 s'],
    [7500, '2 h 05 min'],
    [59.99, '1 min 00 s'],
    [Number.NaN, '–'],
  ])('%d seconds are written %s', (seconds, text) => {
    expect(spaced(formatSeconds(seconds))).toBe(text);
  });
});
