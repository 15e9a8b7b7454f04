import { Command } from 'commander';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { flagsOf, withKebabFlags } from '../../src/config/flags.ts';
import { annotatedYaml } from '../../src/config/resolved.ts';
import { schemaKeys } from '../../src/config/schema-keys.ts';

const schema = z.strictObject({
  from: z.string().describe('model to start from'),
  batchSize: z.int().min(1).default(8).describe('rows in a step'),
  lr: z.number().default(1e-4).describe('learning rate'),
  tied: z.boolean().default(true).describe('one matrix for both'),
  norm: z.enum(['pre', 'mix']).default('pre').describe('norm placement'),
  of: z.array(z.string()).default([]).describe('what to compare'),
  postLayers: z.union([z.int(), z.string()]).optional().describe('count or share'),
});

function command(): Command {
  const made = new Command().exitOverride();
  for (const option of schemaKeys(schema).flatMap(flagsOf)) made.addOption(option);
  return made;
}

function parse(...argv: string[]): unknown {
  return command().parse(withKebabFlags(argv), { from: 'user' }).opts();
}

it('makes a flag of each key, spelt either way, and gives no value to what was not asked for', () => {
  expect(parse()).toEqual({});
  expect(parse('--from', '12', '--batch-size', '4', '--lr', '1e-5')).toEqual({ from: '12', batchSize: 4, lr: 1e-5 });
  expect(parse('--batchSize=4', '--postLayers', '25%')).toEqual({ batchSize: 4, postLayers: '25%' });
  expect(parse('--no-tied')).toEqual({ tied: false });
  expect(parse('--tied', '--of', 'a', 'b', '--post-layers', '3')).toEqual({
    tied: true,
    of: ['a', 'b'],
    postLayers: 3,
  });
  expect(parse('--of', '3', '-0.5', 'a1', '1e3')).toEqual({ of: [3, -0.5, 'a1', '1e3'] });
});

it('leaves what is wrong with a value to the schema, which tells all at once', () => {
  expect(parse('--batch-size', 'many')).toEqual({ batchSize: 'many' });
});

it('says what the schema says in the help', () => {
  const help = command().helpInformation();
  expect(help).toMatch(/--from <text>\s+model to start from \(required\)/);
  expect(help).toMatch(/--batch-size <number>\s+rows in a step \(default: 8\)/);
  expect(help).toMatch(/--norm <pre\|mix>\s+norm placement \(default: pre\)/);
  expect(help).toMatch(/--tied\s+one matrix for both \(default: true\)/);
});

it('writes the resolved config with the origin of each value', () => {
  const yaml = annotatedYaml({ lr: 1e-4, of: ['a', 'b'], norm: 'mix' }, { lr: '--lr', norm: 'mine.yaml:4' }, 'sft');
  expect(yaml).toBe('# sft\n\nlr: 0.0001 # --lr\nof: [ a, b ] # default\nnorm: mix # mine.yaml:4\n');
});
