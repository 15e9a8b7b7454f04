import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadModel } from '../../src/checkpoint/load-model.ts';
import { headOf, hiddenStates } from '../../src/model/model.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { linear } from '../../src/tensor/fused/linear.ts';
import { valuesOf } from '../golden/backends.ts';
import { largestDifference } from '../golden/fixtures.ts';

const folder = join(import.meta.dirname, 'fixtures', 'written-by-7ccb2ed');
const { tokens: ids, logits } = JSON.parse(await readFile(join(folder, 'logits.json'), 'utf8')) as {
  tokens: number[];
  logits: Record<'pre' | 'post' | 'mix', number[]>;
};
const tokens = Int32Array.from(ids);
const input = { tokens, positions: tokens.map((_, i) => i), segments: Int32Array.of(0, tokens.length) };

test.each(['pre', 'post', 'mix'] as const)(
  'a %s model of an earlier program gives the logits it gave then',
  async (norm) => {
    const { model, extra } = await loadModel(join(folder, norm), new PortableBackend('f32'));
    expect(model.config.norm).toEqual({ name: norm, settings: norm === 'mix' ? { postLayers: 2 } : {} });
    expect(extra).toMatchObject({ bosId: 1, eosIds: [2, 3], padId: undefined });
    const ours = await valuesOf(() => linear(hiddenStates(model, input), headOf(model)));
    expect(largestDifference(ours, logits[norm])).toBeLessThan(1e-5);
  },
);
