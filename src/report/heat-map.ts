import { csvText, figure } from './figure.ts';
import type { Markup } from './html.ts';

export interface HeatMap {
  title: string;
  group?: string;
  note: string;
  description: string;
  /** values[row][column], both counted from 0. */
  values: readonly (readonly number[])[];
  /** Of both axes. */
  axisName: string;
  /** What the values are, in the file of values. */
  valueName: string;
  /** The values that have the last colour; the first one is that of 0. Never taken from the values themselves. */
  most: number;
}

/** In units of the drawing. */
const size = { width: 358, height: 296 };
const plot = { left: 34, top: 8, side: 256 };
const bar = { left: 306, width: 10 };

/** Viridis, which grows evenly in lightness, so that it can be read without colours. */
const ramp = ['#440154', '#46327e', '#365c8d', '#277f8e', '#1fa187', '#4ac16d', '#a0da39', '#fde725'];
const shades = 64;

/** Cells of a square matrix in colours of a scale that is the same for whatever is compared. */
export function heatMap({ title, group, note, description, values, axisName, valueName, most }: HeatMap): Markup {
  const side = plot.side / values.length;
  const cells = new Map<number, string>();
  for (const [row, line] of values.entries()) {
    for (const [column, value] of line.entries()) {
      if (!Number.isFinite(value)) continue;
      const shade = shadeOf(value / most);
      const cell = `M${short(plot.left + column * side)} ${short(plot.top + row * side)}h${short(side)}v${short(side)}h${short(-side)}z`;
      cells.set(shade, (cells.get(shade) ?? '') + cell);
    }
  }
  const paths = [...cells].map(([shade, path]) => `<path d="${path}" fill="${colourOf(shade)}"/>`);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" width="100%" height="100%">${[
    ...paths,
    ...axes(values.length, side),
    ...scale(most),
  ].join('')}</svg>`;
  const rows = values.flatMap((line, row) => line.map((value, column) => [row, column, value]));
  const csv = csvText([[`${axisName} (row)`, `${axisName} (column)`, valueName], ...rows]);
  return figure({ title, group, remarks: note, description, svg, size, legend: [], axisName, csv });
}

const shadeOf = (share: number): number => Math.round(Math.min(1, Math.max(0, share)) * (shades - 1));

/** Between the two nearest colours of the ramp. */
function colourOf(shade: number): string {
  const place = (shade / (shades - 1)) * (ramp.length - 1);
  const first = Math.min(ramp.length - 2, Math.floor(place));
  const channel = (at: number) => {
    const [low, high] = [ramp[first]!, ramp[first + 1]!].map((colour) => Number.parseInt(colour.slice(at, at + 2), 16));
    return Math.round(low! + (high! - low!) * (place - first));
  };
  return `rgb(${channel(1)},${channel(3)},${channel(5)})`;
}

function axes(count: number, side: number): string[] {
  const stride = [1, 2, 4, 8, 16].find((stride) => count / stride <= 9) ?? 32;
  const ticks = Array.from({ length: Math.ceil(count / stride) }, (_, i) => i * stride);
  return ticks.flatMap((tick) => {
    const middle = (tick + 0.5) * side;
    return [
      label(plot.left + middle, plot.top + plot.side + 16, String(tick), 'middle'),
      label(plot.left - 6, plot.top + middle + 4, String(tick), 'end'),
    ];
  });
}

/** The colours and the values that they stand for. */
function scale(most: number): string[] {
  const height = plot.side / shades;
  const steps = Array.from({ length: shades }, (_, shade) => {
    const y = plot.top + plot.side - (shade + 1) * height;
    return `<rect x="${bar.left}" y="${short(y)}" width="${bar.width}" height="${short(height + 0.5)}" fill="${colourOf(shade)}"/>`;
  });
  const ticks = [0, 0.5, 1].map((share) =>
    label(
      bar.left + bar.width + 4,
      plot.top + plot.side * (1 - share) + (share === 1 ? 9 : share === 0 ? 0 : 4),
      String(share * most),
      'start',
    ),
  );
  return [...steps, ...ticks];
}

const label = (x: number, y: number, text: string, anchor: string): string =>
  `<text x="${short(x)}" y="${short(y)}" font-size="11" text-anchor="${anchor}" fill="var(--soft)">${text}</text>`;

const short = (value: number): number => Number(value.toFixed(2));
