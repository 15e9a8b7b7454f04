import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeReport } from '../../src/report/write-report.ts';
import { thorough } from '../thorough.ts';
import { BrowserPage, chromiumPath } from './chromium.ts';
import { writeSampleFolder } from './sample-folder.ts';

/** What somebody sees of a chart; lengths in pixels of the page. */
interface Look {
  name: string;
  width: number;
  height: number;
  /** Shapes with a size. */
  shapes: number;
  /** Pairs of labels that cover each other. */
  overlaps: string[];
  /** What stands beyond the edge of the page. */
  outside: string[];
}

/** Runs in the page. */
const looks = `[...document.querySelectorAll('.chart')].map((figure) => {
  const plot = figure.querySelector('.plot, table');
  const { width, height } = plot.getBoundingClientRect();
  const boxes = [...plot.querySelectorAll('text')].map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
  const covers = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const overlaps = boxes.flatMap((a, i) => boxes.slice(i + 1).flatMap((b) => covers(a.box, b.box) ? [a.text + ' / ' + b.text] : []));
  const outside = boxes.filter(({ box }) => box.left < -1 || box.right > innerWidth + 1).map(({ text }) => text);
  const shapes = [...plot.querySelectorAll('path, polyline, rect, polygon, i')].filter((shape) => {
    const box = shape.getBoundingClientRect();
    return box.width + box.height > 0;
  }).length;
  return { name: figure.querySelector('figcaption').textContent, width, height, shapes, overlaps, outside };
})`;

const views = {
  'a wide screen': { width: 1280 },
  'a phone': { width: 360 },
  'a phone in the dark': { width: 390, dark: true },
  paper: { width: 760, print: true },
};

const browser = chromiumPath ?? 'a browser, of which there is none here: give CHROME_PATH';

describe.skipIf(!thorough || !chromiumPath)(`the report in ${browser}`, () => {
  let folder: string;
  let file: string;
  let page: BrowserPage;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mixtune-browser-'));
    await writeSampleFolder(folder, { variants: ['pre', 'mix', 'post'], seeds: [1, 2, 3], complete: true });
    file = await writeReport(folder);
    page = await BrowserPage.open(chromiumPath!);
  });

  afterAll(async () => {
    await page?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each(Object.entries(views))(
    'draws every chart on %s, within the page and without labels that overlap',
    async (_, view) => {
      await page.load(file, view);
      await page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
      const charts = await page.evaluate<Look[]>(looks);
      expect(charts.length).toBeGreaterThan(20);
      for (const { name, width, height, shapes, overlaps, outside } of charts) {
        expect({ name, overlaps, outside }).toEqual({ name, overlaps: [], outside: [] });
        expect({ name, isDrawn: width > 200 && height > 10 && shapes > 1 }).toEqual({ name, isDrawn: true });
      }
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
      expect(page.errors).toEqual([]);
    },
  );

  it('shows values by the keyboard, and saves charts in each format', async () => {
    await page.load(file, { width: 1280 });
    const shown = await page.evaluate<string>(`(() => {
      const plot = document.querySelector('.plot');
      plot.focus();
      plot.dispatchEvent(new KeyboardEvent('keydown', { key: 'End', bubbles: true }));
      return plot.querySelector('.tooltip').textContent;
    })()`);
    expect(shown).toMatch(/pre.*mix.*post/);
    const saved = await page.evaluate<{ name: string; type: string; size: number }[]>(`(async () => {
      const saved = [];
      const blobs = new Map();
      URL.createObjectURL = (blob) => { blobs.set('blob:' + blobs.size, blob); return 'blob:' + (blobs.size - 1); };
      HTMLAnchorElement.prototype.click = function () {
        const blob = blobs.get(this.href);
        saved.push({ name: this.download, type: blob.type, size: blob.size });
      };
      document.querySelectorAll('.save')[0].querySelectorAll('button').forEach((button) => button.click());
      while (saved.length < 3) await new Promise((resolve) => setTimeout(resolve, 20));
      return saved.sort((a, b) => a.name < b.name ? -1 : 1);
    })()`);
    expect(saved.map(({ type }) => type)).toEqual(['text/csv', 'image/png', 'image/svg+xml']);
    for (const { size } of saved) expect(size).toBeGreaterThan(100);
    expect(page.errors).toEqual([]);
  });
});
