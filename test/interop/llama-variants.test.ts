import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { python, transformersReleases } from './environment.ts';
import { inTemporaryFolder, largestDifference, ourReading, tokens } from './tiny-models.ts';

/**
 * What `make_llama_variants.py` makes that is refused, and the words that must name the key. All else must be read
 * alike.
 */
const refused: Readonly<Record<string, RegExp>> = {
  'theta-contradicts': /rope_theta and rope_parameters\.rope_theta: contradict/,
  'scaling-contradicts': /rope_theta and rope_scaling\.rope_theta: contradict/,
  'types-contradict': /rope_scaling\.rope_type and rope_scaling\.type: contradict/,
  'types-contradict-2': /rope_parameters\.rope_type and rope_parameters\.type: contradict/,
  'rope-by-layer-type': /rope_parameters\.full_attention: rotations that differ/,
  'rope-by-layer-type-2': /rope_parameters\.full_attention: rotations that differ/,
  'partial-on-top': /partial_rotary_factor/,
  'rope-linear': /rope_scaling: rope type "linear"/,
  'rope-linear-5': /rope_parameters: rope type "linear"/,
  'rope-dynamic': /rope_scaling: rope type "dynamic"/,
  'rope-yarn': /rope_scaling: rope type "yarn"/,
  'rope-llama3': /rope_scaling: rope type "llama3"/,
  'rope-llama3-5': /rope_parameters: rope type "llama3"/,
  'rope-longrope': /rope_scaling: rope type "longrope"/,
  'rope-unknown': /rope_scaling: rope type "mrope"/,
  'not-causal': /is_causal: is false/,
  'causal-null': /is_causal: is null/,
  'attention-bias': /attention_bias: is true/,
  'mlp-bias': /mlp_bias: is true/,
  gelu: /hidden_act: is "gelu"/,
  relu: /hidden_act: is "relu"/,
  window: /sliding_window: is 4/,
  chunks: /attention_chunk_size: is 4/,
  'layer-types-sliding': /layer_types: is /,
  'per-layer': /per_layer_config/,
  'shared-keys': /kv_sharing_modes/,
  'pruned-heads': /pruned_heads/,
  'other-weights': /transformers_weights: is "other\.safetensors"/,
  'text-config': /text_config/,
  quantised: /quantization_config/,
  'encoder-decoder': /is_encoder_decoder/,
};

/** transformers 4 has no base inside `rope_scaling`; what stands there is read here as by transformers 5. */
const newerOnly: readonly string[] = [
  'theta-inside',
  'theta-in-scaling',
  'theta-in-old-scaling',
  'theta-in-scaling-alone',
];

test.each(transformersReleases)('each Llama of transformers %s is read alike or refused by its key', (release) =>
  inTemporaryFolder(async (folder) => {
    const args = [folder, JSON.stringify(tokens)];
    const theirs = await python<Record<string, number[][] | null>>(release, 'make_llama_variants.py', args);
    expect(Object.keys(theirs).length).toBeGreaterThan(65);
    expect(Object.keys(refused).filter((name) => !(name in theirs))).toEqual([]);
    let equal = 0;
    for (const [name, logits] of Object.entries(theirs)) {
      const directory = join(folder, name);
      const ours = await ourReading(directory).catch((error: unknown) => error);
      if (refused[name]) {
        expect.soft(ours, name).toBeInstanceOf(RequestError);
        expect.soft((ours as Error).message, name).toMatch(refused[name]);
      } else if (ours instanceof Error) expect.soft(ours.message, name).toBe('read');
      else if (logits !== null && !(release.startsWith('4') && newerOnly.includes(name))) {
        equal++;
        const { logits: values } = ours as Awaited<ReturnType<typeof ourReading>>;
        expect.soft(largestDifference(values, logits), name).toBeLessThan(1e-5);
      }
    }
    expect(equal).toBeGreaterThan(release.startsWith('4') ? 25 : 30);
  }),
);
