import { CustomChart, LineChart as LineSeries } from 'echarts/charts';
import { GridComponent } from 'echarts/components';
import { type ECharts, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { MetricKind } from '../evaluation/metrics.ts';
import type { Curve, LineChart } from './curve.ts';
import { csvText, figure } from './figure.ts';
import { formatMetric, formatTick } from './format.ts';
import { html, type Markup } from './html.ts';
import { seriesOf } from './line-series.ts';
import { placesOf, valueRows } from './line-values.ts';

use([LineSeries, CustomChart, GridComponent, SVGRenderer]);

/** In units of the drawing, which is scaled to the width of its place. */
const size = { width: 480, height: 270 };
const grid = { left: 46, right: 14, top: 10, bottom: 28 };

/** Places at which the tooltip knows the values, next to those of the dots. */
const tooltipStops = 100;

/** A figure with the drawing, its legend and the values for the tooltip. Colours are variables of the style sheet. */
export function lineChart(chart: LineChart): Markup {
  const curves = chart.curves.filter(({ points }) => points.length > 0);
  const shown = curves.filter(({ background }) => !background);
  const lost = shown.flatMap(({ points }) => points.filter(([, y]) => !Number.isFinite(y))).length;
  const yAxis = valueAxis(curves, chart.kind);
  const remarks = [yAxis.type === 'log' && 'log scale', chart.note].filter(Boolean).join(' · ');
  // Lines are thinned to a point for every pixel; two units of the drawing a pixel keep pages with many curves small.
  const drawing = init(null, null, { renderer: 'svg', ssr: true, devicePixelRatio: 0.5, ...size });
  drawing.setOption({
    animation: false,
    textStyle: { fontFamily: 'inherit' },
    grid: { ...grid, outerBoundsMode: 'none' },
    xAxis: xAxis(chart),
    yAxis,
    series: curves.flatMap(seriesOf),
  });
  const svg = drawing.renderToSVGString({ useViewBox: true });
  const tooltip = tooltipData(chart, shown, drawing);
  drawing.dispose();
  const names = new Map(curves.map(({ name, colour }) => [name, colour]));
  return figure({
    ...{ title: chart.title, group: chart.group, remarks, description: chart.description, svg, size, tooltip },
    legend: [...names].map(([name, colour]) => ({ name, colour })),
    axisName: chart.xLabel,
    warning: lost > 0 && html`<p class="warning">Not finite, so left out: ${lost} of the values.</p>`,
    csv: csvText(valueRows(chart, shown)),
  });
}

const axisLook = {
  silent: true,
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { lineStyle: { color: 'var(--rule)' } },
};
const axisLabel = { color: 'var(--soft)', fontSize: 11 };

function xAxis({ categories, isMeasuredX }: LineChart) {
  const look = {
    ...axisLook,
    axisLine: { onZero: false, lineStyle: { color: 'var(--soft)' } },
    splitLine: { show: false },
  };
  if (categories) {
    const width = (size.width - grid.left - grid.right) / categories.length - 6;
    const label = { ...axisLabel, interval: 0, width, overflow: 'truncate' };
    return { ...look, type: 'category', data: categories, axisLabel: label };
  }
  const label = { ...axisLabel, formatter: formatTick, hideOverlap: true, textMargin: [0, 8] };
  const range = isMeasuredX ? { scale: true } : { min: 0, max: 'dataMax', minInterval: 1 };
  return { ...look, type: 'value', ...range, axisLabel: label };
}

/** The largest value, in smallest ones, that a logarithmic axis shows; beyond, no chart says anything. */
const widestRatio = 1e30;

/** Logarithmic where all values are positive and the largest is more than three times the smallest, else linear. */
function valueAxis(curves: readonly Curve[], { share, linear }: MetricKind) {
  const values = curves.flatMap(extremes).filter(Number.isFinite);
  const min = values.reduce((a, b) => Math.min(a, b), Infinity);
  const max = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (share) {
    const formatter = (value: number) => `${formatTick(100 * value)}%`;
    const label = { ...axisLabel, formatter, hideOverlap: true };
    // Left to itself, the axis may end at a round 102 %.
    const ends = { ...(min < 0.01 && { min: 0 }), ...(max > 0.99 && { max: 1 }) };
    return { ...axisLook, type: 'value', scale: true, ...ends, axisLabel: label };
  }
  const ratio = max / min;
  if (linear || !(min > 0 && ratio > 3 && ratio < widestRatio)) {
    return { ...axisLook, type: 'value', scale: true, axisLabel: { ...axisLabel, formatter: formatTick } };
  }
  const margin = ratio ** 0.04;
  // The library labels powers of ten only, of which there may be none in between.
  const customValues = logTicks(min / margin, max * margin);
  return {
    ...axisLook,
    type: 'log',
    min: min / margin,
    max: max * margin,
    axisTick: { show: false, customValues },
    axisLabel: { ...axisLabel, formatter: formatTick, customValues },
  };
}

/** The values that the axis must hold: each point with its whisker and its band. */
function extremes({ points, deviations, band }: Curve): number[] {
  return points.flatMap(([, y], i) => [y - (deviations?.[i] ?? 0), y + (deviations?.[i] ?? 0), ...(band?.[i] ?? [])]);
}

/** Round numbers from `low` to `high`: the sparsest set that has four. */
export function logTicks(low: number, high: number): number[] {
  const powers = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, i) => Math.floor(Math.log10(low)) + i,
  );
  const candidates = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]].map((mantissas) =>
    powers
      .flatMap((power) => mantissas.map((mantissa) => Number(`${mantissa}e${power}`)))
      .filter((tick) => tick >= low && tick <= high),
  );
  return candidates.find(({ length }) => length >= 4) ?? candidates.at(-1)!;
}

/** What the script shows: the curves, and at places from left to right in per cent, the heading and a text a curve. */
function tooltipData({ categories, xLabel, kind }: LineChart, curves: readonly Curve[], drawing: ECharts) {
  const values = curves.map(({ points }) => new Map(points));
  const stops = placesOf(curves, tooltipStops);
  return {
    curves: curves.map(({ name, detail, colour }) => [[name, detail].filter(Boolean).join(', '), colour]),
    stops: stops.map((x) => [
      Number(((100 * drawing.convertToPixel({ xAxisIndex: 0 }, x)) / size.width).toFixed(2)),
      categories?.[x] ?? `${xLabel} ${x}`,
      values.map((points) => (points.has(x) ? formatMetric(points.get(x)!, kind) : '')),
    ]),
  };
}
