import { escapeHtml } from './html.ts';
import { dashes, palettes, withColours } from './palette.ts';

/** What stands around a drawing in a file of its own: its title, its legend and the name of its axis. */
export interface Surroundings {
  title: string;
  remarks: string;
  legend: readonly LegendEntry[];
  axisName?: string;
}

export interface LegendEntry {
  name: string;
  /** Place of its variant in the palette. */
  colour: number;
}

export interface Size {
  width: number;
  height: number;
}

/** The two parts of a file between which the content of a drawing stands. */
export interface Frame {
  before: string;
  after: string;
}

const margin = 16;
const lineHeight = 16;
/** Width of a character of 12 pixels, on the safe side. */
const characterWidth = 6.6;

/** Frames a drawing on white, in colours that every program knows. The script of the page uses the same frame. */
export function frameOf({ width, height }: Size, { title, remarks, legend, axisName }: Surroundings): Frame {
  const small = (x: number, y: number, text: string, more = '') =>
    `<text x="${x}" y="${y}" font-size="12" fill="${palettes.light.soft}"${more}>${escapeHtml(text)}</text>`;
  const notes = wrapped(remarks, Math.floor(width / characterWidth));
  const top = margin + 20 + notes.length * lineHeight + 8;
  const under = top + height + lineHeight;
  const entries = placed(legend, width - (axisName ?? '').length * characterWidth - 2 * margin);
  const bottom = under + (entries.at(-1)?.row ?? 0) * lineHeight + margin;
  const whole = { width: width + 2 * margin, height: bottom };
  const before = [
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${whole.width}" height="${whole.height}"`,
    ` viewBox="0 0 ${whole.width} ${whole.height}" font-family="system-ui, 'Liberation Sans', Helvetica, Arial, sans-serif">`,
    `<rect width="100%" height="100%" fill="${palettes.light.page}"/>`,
    `<text x="${margin}" y="${margin + 14}" font-size="15" font-weight="600" fill="${palettes.light.text}">${escapeHtml(title)}</text>`,
    ...notes.map((note, i) => small(margin, margin + 32 + i * lineHeight, note)),
    `<svg x="${margin}" y="${top}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
  ];
  const after = [
    '</svg>',
    ...entries.map(({ name, colour, x, row }) => {
      const y = under + row * lineHeight;
      const dash = dashes[colour % dashes.length]!.join(' ');
      const stroke = withColours(`var(--c${colour}, var(--text))`, palettes.light);
      const line = `<path d="M${margin + x} ${y - 4}h22" stroke="${stroke}" stroke-width="2" fill="none" stroke-dasharray="${dash}"/>`;
      return `${line}${small(margin + x + 28, y, name)}`;
    }),
    axisName ? small(margin + width, under, axisName, ' text-anchor="end"') : '',
    '</svg>',
  ];
  return { before: before.join(''), after: after.join('') };
}

/** The content of an SVG element between the parts of a frame, in light colours. */
export function standaloneSvg({ before, after }: Frame, svg: string): string {
  const content = svg.slice(svg.indexOf('>') + 1, svg.lastIndexOf('</svg>'));
  return `${before}${withColours(content, palettes.light)}${after}`;
}

function placed(legend: readonly LegendEntry[], width: number) {
  let [x, row] = [0, 0];
  return legend.map((entry) => {
    const length = 28 + entry.name.length * characterWidth + 18;
    if (x > 0 && x + length > width) [x, row] = [0, row + 1];
    const place = { ...entry, x, row };
    x += length;
    return place;
  });
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
