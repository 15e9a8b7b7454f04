import type { Curve, Point, Range } from './curve.ts';
import { dashes, symbols } from './palette.ts';

/** What the library draws of a curve: its band, its line, its whiskers. */
export function seriesOf(curve: Curve) {
  const { mark, points } = curve;
  const color = `var(--c${curve.colour}, var(--text))`;
  const faint = mark === 'faint';
  const opacity = curve.opacity ?? { faint: 0.4, light: 0.55, line: 1, dots: 1 }[mark];
  // A dash shows nothing in a line that turns at every pixel.
  const dash = faint ? [] : dashes[curve.colour % dashes.length]!;
  const line = {
    type: 'line',
    silent: true,
    data: points.map(([x, y]) => [x, Number.isFinite(y) ? y : Number.NaN]),
    sampling: 'lttb',
    showSymbol: mark === 'dots',
    symbol: symbols[curve.colour % symbols.length],
    symbolSize: 7,
    itemStyle: { color, opacity },
    lineStyle: {
      ...{ color, opacity, width: faint || mark === 'light' ? 1 : 1.75 },
      type: dash.length > 0 ? dash : 'solid',
    },
  };
  const spans = points.flatMap(([x, y], i) => {
    const deviation = curve.deviations?.[i];
    return deviation !== undefined && Number.isFinite(y + deviation) ? [[x, y - deviation, y + deviation]] : [];
  });
  return [
    ...(curve.band ? [bandOf(points, curve.band, color)] : []),
    line,
    ...(spans.length > 0 ? [whiskers(spans, color)] : []),
  ];
}

interface Coordinates {
  value(dimension: number): number;
  coord(point: readonly number[]): number[];
}

/** The area between the lowest and the highest values, interrupted where one is not finite. */
function bandOf(points: readonly Point[], band: readonly Range[], color: string) {
  const data = points.map(([x], i): Area => [x, ...band[i]!]);
  const isWhole = ([, lowest, highest]: Area) => Number.isFinite(lowest) && Number.isFinite(highest);
  // The axis sees every point; each area is drawn at its first one.
  const renderItem = ({ dataIndex }: { dataIndex: number }, { coord }: Coordinates) => {
    if (!isWhole(data[dataIndex]!) || (dataIndex > 0 && isWhole(data[dataIndex - 1]!))) return undefined;
    const rest = data.slice(dataIndex);
    const end = rest.findIndex((area) => !isWhole(area));
    const area = end < 0 ? rest : rest.slice(0, end);
    const upper = area.map(([x, , highest]) => coord([x, highest]));
    const lower = area.map(([x, lowest]) => coord([x, lowest])).reverse();
    return { type: 'polygon', shape: { points: [...upper, ...lower] }, style: { fill: color, opacity: 0.18 } };
  };
  return { type: 'custom', silent: true, clip: true, data, encode: { x: 0, y: [1, 2] }, renderItem };
}

type Area = readonly [x: number, lowest: number, highest: number];

function whiskers(data: readonly number[][], color: string) {
  const renderItem = (_: unknown, { value, coord }: Coordinates) => {
    const [x1, y1] = coord([value(0), value(1)]);
    const [x2, y2] = coord([value(0), value(2)]);
    return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 1.25 } };
  };
  return { type: 'custom', silent: true, clip: true, data, encode: { x: 0, y: [1, 2] }, renderItem };
}
