import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type PresetName, presetConfig } from '../../src/model/presets.ts';

test("the peers' presets are mixtune's", () => {
  const text = readFileSync(new URL('../../bench/peers/models.py', import.meta.url), 'utf8');
  const found = [...text.matchAll(/^ {4}"(\w+)": (\{.*\}),$/gm)].map(([, name, sizes]) => [name, JSON.parse(sizes!)]);
  expect(found.length).toBeGreaterThan(0);
  for (const [name, sizes] of found) {
    const { hiddenSize, intermediateSize, heads, layers } = presetConfig(name as PresetName);
    expect(sizes, name).toEqual({
      hidden_size: hiddenSize,
      intermediate_size: intermediateSize,
      num_attention_heads: heads,
      num_hidden_layers: layers,
    });
  }
});
