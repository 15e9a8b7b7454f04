import { formatCount, formatNumber, type MetricKind } from './metric.ts';

export interface Tick {
  value: number;
  label: string;
}

/** Maps values to 0..1 and knows where its ticks are. */
export interface Axis {
  kind: 'linear' | 'log';
  min: number;
  max: number;
  ticks: readonly Tick[];
  position(value: number): number;
}

/** A linear axis from `min` to `max` as they are, ticks at round numbers between them. */
export function linearAxis(min: number, max: number, tickCount = 5): Axis {
  const [low, high] = min < max ? [min, max] : [min - (Math.abs(min) || 1) / 2, max + (Math.abs(max) || 1) / 2];
  const step = roundStep((high - low) / tickCount);
  const decimals = Math.max(0, -Math.floor(Math.log10(step)));
  const ticks: Tick[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    ticks.push({ value: i * step, label: tickLabel(i * step, decimals) });
  }
  return { kind: 'linear', min: low, max: high, ticks, position: (value) => (value - low) / (high - low) };
}

/** From sparse to dense; an axis takes the first that gives it four ticks. */
const logMantissas = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]];

/** A logarithmic axis over positive values from `min` to `max` as they are. */
export function logAxis(min: number, max: number): Axis {
  const [low, high] = min < max ? [min, max] : [min / 2, max * 2];
  const candidates = logMantissas.map((mantissas) => logTicks(low, high, mantissas));
  const ticks = candidates.find(({ length }) => length >= 4) ?? candidates.at(-1)!;
  return { kind: 'log', min: low, max: high, ticks, position: (value) => Math.log(value / low) / Math.log(high / low) };
}

function logTicks(low: number, high: number, mantissas: readonly number[]): Tick[] {
  const ticks: Tick[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const mantissa of mantissas) {
      const value = mantissa * 10 ** power;
      if (value >= low && value <= high) ticks.push({ value, label: tickLabel(value, Math.max(0, 1 - power)) });
    }
  }
  return ticks;
}

/**
 * The axis that shows these values best: logarithmic where all are positive and the largest is more than three times
 * the smallest, else linear; with a margin of 4 % at both ends. Shares are in per cent and within 0 and 1.
 */
export function valueAxis(
  values: readonly number[],
  { share, linear }: Pick<MetricKind, 'share' | 'linear'> = {},
): Axis {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return linearAxis(0, 1);
  const min = finite.reduce((a, b) => Math.min(a, b));
  const max = finite.reduce((a, b) => Math.max(a, b));
  if (share) {
    const margin = Math.max(0.02, (max - min) * 0.04);
    const axis = linearAxis(Math.max(Math.min(0, min), min - margin), Math.min(Math.max(1, max), max + margin));
    return {
      ...axis,
      ticks: axis.ticks.map(({ value }) => ({ value, label: `${formatCount(Number((100 * value).toFixed(2)))}%` })),
    };
  }
  if (min > 0 && max / min > 3 && !linear) {
    const margin = (max / min) ** 0.04;
    return logAxis(min / margin, max * margin);
  }
  const margin = (max - min) * 0.04;
  return linearAxis(min - margin, max + margin);
}

/** The 1, 2 or 5 times a power of ten that is nearest in ratio. */
function roundStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  const mantissa = size / power;
  return power * (mantissa < Math.SQRT2 ? 1 : mantissa < Math.sqrt(10) ? 2 : mantissa < Math.sqrt(50) ? 5 : 10);
}

function tickLabel(value: number, decimals: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  const sign = value < 0 ? '−' : '';
  if (size >= 1e6) return `${sign}${Number((size / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${sign}${Number((size / 1e3).toPrecision(3))}k`;
  if (size < 1e-3) return formatNumber(value).replace('.00', '');
  return `${sign}${size
    .toFixed(Math.min(decimals, 4))
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')}`;
}
