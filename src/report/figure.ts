import { type Fragment, html, jsonScript, Markup } from './html.ts';
import { frameOf, type LegendEntry, type Size, standaloneSvg } from './standalone-drawing.ts';

export interface Figure {
  title: string;
  /** What it belongs to, such as a stage; for the name of its files. */
  group?: string | undefined;
  /** How to read it. */
  remarks: string;
  /** What it shows, in a sentence, for those who do not see it. */
  description: string;
  svg: string;
  size: Size;
  legend: readonly LegendEntry[];
  axisName?: string;
  warning?: Fragment;
  csv: string;
  /** What the script shows where one points. */
  tooltip?: object;
}

/** A drawing with its legend in HTML, which wraps on a narrow screen, and what the script needs to save it. */
export function figure({ title, group, remarks, description, svg, size, legend, warning, ...rest }: Figure): Markup {
  const { axisName = '', csv, tooltip } = rest;
  const name = fileName([group, title].filter(Boolean).join(' '));
  const frame = frameOf(size, { title: group ? `${group}: ${title}` : title, remarks, legend, axisName });
  const plot = new Markup(svg, [{ name, svg: standaloneSvg(frame, svg), csv }]);
  return html`<figure class="chart">
<figcaption>${title}${remarks && html` <small>${remarks}</small>`}</figcaption>
<div class="plot" role="img" aria-label="${description}"${tooltip && html` tabindex="0"`}>${plot}</div>
<div class="below">${legend.length > 1 && legendList(legend)}<span class="axis-name">${axisName}</span></div>
${warning}
${jsonScript({ name, frame, csv, ...tooltip })}
</figure>`;
}

const legendList = (legend: readonly LegendEntry[]): Markup =>
  html`<ul class="legend">${legend.map(({ name, colour }) => html`<li class="c${colour}"><i class="key"></i>${name}</li>`)}</ul>`;

/** Of any title, words of small letters and digits with hyphens between them. */
const fileName = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-|-$/g, '');

/** Comma-separated values, quoted where they have to be (RFC 4180). */
export function csvText(rows: readonly (readonly (string | number | undefined)[])[]): string {
  const cell = (value: string | number | undefined) => {
    const text = typeof value === 'number' ? String(Number(value.toPrecision(6))) : (value ?? '');
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `${rows.map((row) => row.map(cell).join(',')).join('\n')}\n`;
}
