import type { MetricKind } from '../evaluation/metrics.ts';

export function formatMetric(value: number, kind: MetricKind): string {
  if (!Number.isFinite(value)) return formatNumber(value);
  if (kind.share) return `${(100 * value).toFixed(1)}\u00a0%`;
  return kind.better === undefined && Number.isInteger(value) ? formatCount(value) : formatNumber(value);
}

export const formatCount = (value: number): string => value.toLocaleString('en-US').replace('-', '−');

/** `86.3 ± 1.1 %` or `4.02 ± 0.03`: the deviation with as many decimals as the mean. */
export function formatSpread(mean: number, deviation: number | undefined, kind: MetricKind): string {
  if (deviation === undefined || !Number.isFinite(mean)) return formatMetric(mean, kind);
  if (kind.share) return `${(100 * mean).toFixed(1)}\u00a0±\u00a0${(100 * deviation).toFixed(1)}\u00a0%`;
  const text = formatNumber(mean);
  const decimals = /e/.test(text) ? undefined : (text.split('.')[1]?.length ?? 0);
  return `${text}\u00a0±\u00a0${decimals === undefined ? formatNumber(deviation) : deviation.toFixed(decimals)}`;
}

/** A signed difference: percentage points for shares, else the plain number. */
export function formatDifference(value: number, kind: MetricKind): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return signed(value, kind.share ? `${(100 * size).toFixed(1)}\u00a0points` : formatNumber(size));
}

/** `[−1.2, +6.8]` beside a difference, in its unit. */
export function formatInterval([low, high]: readonly [number, number], kind: MetricKind): string {
  const bound = (value: number) => formatDifference(value, kind).replace('\u00a0points', '');
  return `[${bound(low)},\u00a0${bound(high)}]`;
}

/** A difference in units of its deviation, such as `+0.67`. */
export const formatEffect = (effect: number): string => signed(effect, Math.abs(effect).toFixed(2));

/** `0.143`, or `< 0.001`. */
export const formatP = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));

/** A signed difference in per cent of what it is compared with. */
export const formatRelative = (ratio: number): string => signed(ratio, `${(100 * Math.abs(ratio)).toFixed(1)}\u00a0%`);

const signed = (value: number, size: string): string => (/[1-9]/.test(size) ? `${value < 0 ? '−' : '+'}${size}` : size);

/** For an axis: `0.5`, `25K`, `2E−5`. */
export function formatTick(value: number): string {
  const notation = value !== 0 && Math.abs(value) < 1e-3 ? 'scientific' : 'compact';
  return value.toLocaleString('en-US', { notation, maximumSignificantDigits: 4 }).replace('-', '−');
}

/** Three to four significant digits, thousands grouped, a true minus sign. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'not a number';
  if (!Number.isFinite(value)) return value < 0 ? '−∞' : '∞';
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  if (size === 0) return '0';
  if (size < 1e-3 || size >= 1e9) return sign + size.toExponential(2).replace('-', '−').replace('+', '');
  if (size >= 1000) return sign + formatCount(Math.round(size));
  return sign + size.toFixed(size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4);
}

/** `48.2 s`, `3 min 12 s`, `2 h 05 min`. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 59.95) return `${seconds.toFixed(1)}\u00a0s`;
  const whole = Math.round(seconds);
  const pad = (n: number) => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min\u00a0${pad(whole % 60)}\u00a0s`;
  return `${Math.floor(whole / 3600)}\u00a0h\u00a0${pad(Math.floor((whole % 3600) / 60))}\u00a0min`;
}
