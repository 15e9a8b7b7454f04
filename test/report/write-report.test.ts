import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeReport } from '../../src/report/write-report.ts';
import { writeSampleFolder } from './sample-folder.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-report-'));
});
afterEach(async () => {
  if (process.env.KEEP_REPORT) console.log(folder);
  else await rm(folder, { recursive: true });
});

describe('writeReport', () => {
  it('writes one self-contained page', async () => {
    await writeSampleFolder(folder, { variants: ['pre', 'mix'], seeds: [1] });
    const file = await writeReport(folder);
    expect(file).toBe(join(folder, 'report', 'index.html'));
    const page = await readFile(file, 'utf8');
    expect(page).not.toMatch(/(src|href)="(https?:)?\/\//);
  });
  it('three seeds', async () => {
    await writeSampleFolder(folder, {
      variants: ['pre', 'mix', 'post'],
      seeds: [1, 2, 3],
      notRun: ['dpo/post/seed-3'],
      stopped: ['sft/post/seed-3'],
    });
    await writeReport(folder);
  });
});
