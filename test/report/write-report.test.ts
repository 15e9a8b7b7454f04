import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { writeReport } from '../../src/report/write-report.ts';
import { writeSampleFolder } from './sample-folder.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-report-'));
});

afterEach(async () => {
  if (process.env.KEEP_REPORT) console.log(`kept ${folder}`);
  else await rm(folder, { recursive: true });
});

async function reportOf(directory: string): Promise<string> {
  return readFile(await writeReport(directory), 'utf8');
}

const voidElements = new Set(['meta', 'link', '!doctype', 'br']);

/** Elements that are closed out of order or not at all; raw text of script and style is passed over. */
function unbalanced(page: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const markup = page.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '');
  for (const [, close, name = ''] of markup.matchAll(/<(\/?)([!a-z][a-z0-9]*)\b(?:"[^"]*"|[^>"])*>/gi)) {
    if (close === '') {
      if (!voidElements.has(name)) open.push(name);
    } else if (open.pop() !== name) wrong.push(name);
  }
  return [...wrong, ...open];
}

/** The text of a page without its markup, entities decoded. */
function textOf(page: string): string {
  return page
    .replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&amp;/g, '&')
    .replace(/[\s\u00a0]+/g, ' ');
}

describe('writeReport', () => {
  it('writes one well-formed page that needs no other file', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const page = await reportOf(folder);
    expect(await readdir(join(folder, 'report'))).toEqual(['charts', 'index.html']);
    expect(unbalanced(page)).toEqual([]);
    expect(page).not.toMatch(/(?:src|href)="(?!#|data:,")/);
    expect(page.replace(/ xmlns(:xlink)?=\\?"[^"]*"/g, '')).not.toMatch(/url\((?!#)|@import|https?:/);
    const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('writes each chart as a drawing that needs no style sheet, and as the values that it shows', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1, 2] });
    await mkdir(join(folder, 'report/charts'), { recursive: true });
    await writeFile(join(folder, 'report/charts/of-an-older-report.svg'), '');
    const page = await reportOf(folder);
    const files = await readdir(join(folder, 'report/charts'));
    const drawings = files.filter((file) => file.endsWith('.svg'));
    expect(drawings).toContain('pretrain-loss.svg');
    expect(files).not.toContain('of-an-older-report.svg');
    expect(drawings).toHaveLength(page.match(/<div class="plot"/g)!.length);
    for (const file of drawings) {
      const svg = await readFile(join(folder, 'report/charts', file), 'utf8');
      expect(unbalanced(svg.replace(/<(\w+)([^>]*)\/>/g, '<$1$2></$1>'))).toEqual([]);
      expect(svg).not.toContain('var(');
      expect(svg).toMatch(/>(pre|mix)</);
    }
    const rows = (await readFile(join(folder, 'report/charts/pretrain-loss.csv'), 'utf8')).trimEnd().split('\n');
    const columns = ['training', 'training: lowest', 'training: highest', 'held out', 'held out: deviation'];
    const of = (variant: string) => columns.map((column) => `"${variant}, ${column}"`);
    expect(rows[0]).toBe(['step', ...of('pre'), ...of('mix')].join(','));
    expect(rows.at(-1)).toMatch(/^600(,\d\.\d+){10}$/);
  });

  it('shows results, curves, samples, nodes, configs and the command', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const page = await reportOf(folder);
    const text = textOf(page);
    for (const expected of [
      'quickstart: pre against mix',
      'One seed: no statement about which variant is better.',
      'pretrain.norm: mix, pretrain.postLayers: 25%',
      'Reward of chosen and rejected',
      'reward accuracy share of pairs whose preferred answer has the higher reward',
      'town/questions, chance 25.0 %',
      'Responses against those of sft judged by the correct answers',
      'dpo mix 25.0 % 70.0 % 5.0 %',
      'Where does Ada live?',
      'dpo/mix/seed-1 finished 120 16.4 s',
      'mixtune run quickstart',
      'native bf16, 2 threads',
      '1,050,624',
      'learningRate: 0.001 # default',
    ]) {
      expect(text).toContain(expected);
    }
    expect(page.match(/<figure/g)!.length).toBeGreaterThanOrEqual(12);
    for (const [, label] of page.matchAll(/role="img" aria-label="([^"]*)"/g)) expect(label).not.toBe('');
  });

  it('says nothing of who is better from one seed, nor from values of different judges', async () => {
    const rowsOf = (page: string) =>
      page.match(/<tr><th scope="row">.*?<\/tr>/gs)!.filter((row) => row.includes('class="number'));
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const one = rowsOf(await reportOf(folder));
    expect(one.filter((row) => /<strong>|number good|number bad/.test(row))).toEqual([]);
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1, 2, 3] });
    const three = rowsOf(await reportOf(folder));
    expect(three.some((row) => /number (good|bad)/.test(row))).toBe(true);
    const margins = three.filter((row) => row.includes('reward margin'));
    expect(margins).not.toEqual([]);
    for (const row of margins) {
      expect(row).toContain('each on a scale of its own');
      expect(row).not.toMatch(/<strong>|number good|number bad|class="better"/);
    }
  });

  it('shows what items say: of one seed of two trained models alone, of several a range', async () => {
    const write = async (seeds: readonly number[]) => {
      await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds });
      const final = join(folder, 'compare/shared/seed-1/final');
      const rows = seeds.flatMap((seed) =>
        ['pre', 'mix'].flatMap((variant) =>
          Array.from({ length: 8 }, (_, item) => {
            const correct = variant === 'mix' || item < 2;
            const of = { stage: 'sft', variant, seed, task: 'exactMatch:town/questions' };
            return { ...of, metric: 'town/questions/exactMatch', item, correct, score: Number(correct) };
          }),
        ),
      );
      await writeFile(join(final, 'items.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      return textOf(await reportOf(folder));
    };
    const one = await write([1]);
    expect(one).toContain('these two models: 6 of 8 right by mix alone, 0 by pre alone, p 0.031');
    expect(one).toContain('it says nothing of the variants');
    expect(one).not.toContain('What the differences rest on');
    const three = await write([1, 2, 3]);
    expect(three).not.toContain('these two models');
    expect(three).toMatch(
      /What the differences rest on .* sft .* exact match town\/questions .* \[\+\d\d\.\d, \+100\.0\]/,
    );
  });

  it('shows play against another variant without that variant', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const results = join(folder, 'compare/shared/seed-1/final/results.json');
    const parsed = JSON.parse(await readFile(results, 'utf8'));
    for (const row of parsed.rows) {
      const [wins, losses] = row.variant === 'mix' ? [0.5, 0.25] : [0, 0];
      const subject = 'town/questions against pre';
      Object.assign(row.metrics, { [`${subject}/wins`]: wins, [`${subject}/losses`]: losses });
      row.againstVariant = 'pre';
    }
    await writeFile(results, JSON.stringify(parsed));
    const text = textOf(await reportOf(folder));
    expect(text).toMatch(
      /Responses against those of pre after the same stage judged by the correct answers · town\/questions against pre Stage/,
    );
    expect(text).toContain('sft mix 50.0 % 25.0 % 25.0 %');
    expect(text).not.toContain('sft pre 0.0 %');
  });

  it('shows means over seeds, and nodes that broke off or were not run', async () => {
    const ends = { stopped: ['sft/post/seed-3'], notRun: ['dpo/post/seed-3'] };
    await writeSampleFolder(folder, { variants: ['pre', 'mix', 'post'], seeds: [1, 2, 3], ...ends });
    await writeFile(join(folder, 'sft/post/seed-3/log.txt'), 'step 120\nout of memory <here>\n');
    const page = await reportOf(folder);
    expect(unbalanced(page)).toEqual([]);
    const text = textOf(page);
    expect(text).toContain('95 % intervals of the mean difference over the seeds that both variants have');
    expect(text).toMatch(/better in [0-3] of 3 seeds/);
    expect(text).toContain('sft/post/seed-3 broken off step 120 out of memory <here> 120 of 240');
    expect(text).toContain('dpo/post/seed-3 not run –');
  });

  it('shows what the judge makes of each sample, and what that number is', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    expect(textOf(await reportOf(folder))).not.toContain('reward by the judge');
    const results = join(folder, 'compare/shared/seed-1/final/results.json');
    const parsed = JSON.parse(await readFile(results, 'utf8'));
    parsed.rows[0].samples = [{ prompt: 'Who?', completion: 'Ned.', expected: 'Ned.', reward: 1.25 }];
    parsed.rows[1].samples = [{ prompt: 'Who?', completion: 'Ada.', expected: 'Ned.', reward: -3.04 }];
    await writeFile(results, JSON.stringify(parsed));
    const text = textOf(await reportOf(folder));
    expect(text).toContain('the number at the right is its reward by the judge');
    expect(text).toMatch(/\+1\.3 ✓ Ned\.[\s\S]*−3\.0 ✗ Ada\.|−3\.0 ✗ Ada\.[\s\S]*\+1\.3 ✓ Ned\./);
  });

  it('escapes whatever a model, a file or a name says', async () => {
    const attack = '</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e"\'`{1}';
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const results = join(folder, 'compare/shared/seed-1/final/results.json');
    const parsed = JSON.parse(await readFile(results, 'utf8'));
    parsed.rows[0].samples = [{ prompt: attack, completion: attack, expected: attack }];
    parsed.rows[0].metrics[`${attack}/accuracy`] = 0.5;
    await writeFile(results, JSON.stringify(parsed));
    const plan = await readFile(join(folder, 'plan.json'), 'utf8');
    await writeFile(
      join(folder, 'plan.json'),
      plan.replace('"pipeline":"quickstart"', `"pipeline":${JSON.stringify(attack)}`),
    );
    await appendFile(join(folder, 'sft/mix/seed-1/config.yaml'), `note: ${JSON.stringify(attack)}\n`);
    await appendFile(
      join(folder, 'sft/mix/seed-1/metrics.jsonl'),
      `${JSON.stringify({ type: 'step', step: 241, [attack]: 1 })}\n`,
    );
    const page = await reportOf(folder);
    expect(unbalanced(page)).toEqual([]);
    expect(page).not.toContain('<script>alert');
    expect(page).not.toContain('<img');
    expect(page).not.toContain('\u202e');
    expect(textOf(page)).toContain('</script><script>alert(1)</script><img src=x onerror=alert(2)>\ufffd"\'`{1}');
  });

  it('survives losses that are not finite and a log that was cut short', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const node = join(folder, 'pretrain/mix/seed-1/metrics.jsonl');
    await appendFile(
      node,
      '{"type":"step","step":601,"loss":"NaN","gradientNorm":"Infinity"}\n{"type":"eval","step":601,"loss":"NaN","perplexity":"Infinity"}\n{"type":"step","step":602,"lo',
    );
    const page = await reportOf(folder);
    expect(page).not.toMatch(/ d="[^"]*(NaN|Infinity)/);
    const text = textOf(page);
    expect(text).toMatch(/perplexity ↓ held out [\d.]+ ∞ – sft/);
    expect(text).toContain('Not finite, so left out: 2 of the values.');
    expect(text).toContain('Not finite, so left out: 1 of the values.');
  });

  it('gives the command as it was typed, quoted for a shell', async () => {
    const words = ['run', 'own files.yaml', '--set', "text=Ada's.txt"];
    await writeFile(join(folder, 'plan.json'), JSON.stringify({ pipeline: 'own', arguments: words, nodes: [] }));
    expect(textOf(await reportOf(folder))).toContain("mixtune run 'own files.yaml' --set 'text=Ada'\\''s.txt'");
  });

  it('reports a pipeline of which nothing has run', async () => {
    const nodes = [{ id: 'a/shared/seed-1', stage: 'a', run: 'pretrain', directory: 'a/shared/seed-1' }];
    await writeFile(join(folder, 'plan.json'), JSON.stringify({ pipeline: 'new', nodes }));
    const text = textOf(await reportOf(folder));
    expect(text).toContain('Not run: a/shared/seed-1.');
    expect(text).toContain('Not started');
  });

  it('refuses a folder without a plan, and results of another form', async () => {
    await expect(writeReport(folder)).rejects.toThrow(/there is no plan.json[\s\S]*hint: give the folder/);
    await writeSampleFolder(folder, { variants: ['pre'], seeds: [1] });
    await writeFile(join(folder, 'compare/shared/seed-1/final/results.json'), '{"rows":[{"stage":3}]}');
    const error = await writeReport(folder).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RequestError);
    expect((error as RequestError).message).toMatch(
      /results\.json: rows\.0\.stage[\s\S]*results\.json: rows\.0\.metrics/,
    );
  });
});
