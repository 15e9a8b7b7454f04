import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { saveModel } from '../../src/checkpoint/load-model.ts';
import { runCommandLine } from '../../src/cli/program.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { stages } from '../../src/stages/index.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { trainTokenizer } from '../../src/tokenizer/train.ts';
import { visible } from '../../src/visible.ts';
import { pre } from '../checkpoint/made-models.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mixtune-streaming-'));
  const tokenizer = trainTokenizer(['the cat sat on the mat and the dog sat on the log'], { vocabSize: 270 });
  const config = { ...pre, vocabSize: tokenizer.vocabSize, maxLength: 64 };
  const model = await initialiseModel(config, new PortableBackend('f64'), 1, { std: 0.3, embeddingStd: 0.6 });
  await saveModel(folder, model, { tokenizer });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What `generate` writes to standard output, write by write. */
async function writes({ isTTY, flags = [] }: { isTTY: boolean; flags?: string[] }): Promise<string[]> {
  const written: string[] = [];
  const collect = (chunk: unknown) => written.push(String(chunk)) > 0;
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(collect),
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true),
  ];
  const before = process.stdout.isTTY;
  process.stdout.isTTY = isTTY;
  try {
    const command = ['generate', folder, '--prompt', 'the cat', '--max-new-tokens', '24', '--backend', 'portable'];
    expect(await runCommandLine([...command, ...flags], stages)).toBe(0);
  } finally {
    process.stdout.isTTY = before;
    for (const spy of spies) spy.mockRestore();
  }
  return written;
}

test('a terminal shows a text as it is made, and a pipe gets it whole', async () => {
  const [whole] = await writes({ isTTY: false });
  const parts = await writes({ isTTY: true });
  expect(parts.length).toBeGreaterThan(5);
  expect(parts.join('')).toBe(visible(whole!));
  const json = await writes({ isTTY: true, flags: ['--json'] });
  expect(json).toHaveLength(1);
  expect(`${JSON.parse(json[0]!).text}\n`).toBe(whole);
});
