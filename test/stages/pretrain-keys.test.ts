import { expect, it } from 'vitest';
import { pretrainSchema } from '../../src/stages/pretrain.ts';

it.each([
  ['text', 'x%'],
  ['a list', []],
  ['a negative number', -1],
])('a placement key that is %s is told once, by its own schema', (_, postLayers) => {
  const { error } = pretrainSchema.safeParse({ norm: 'mix', postLayers, tokenizer: 'tokenizer', data: 'town/text' });
  expect(error!.issues.map(({ path }) => path.join('.'))).toEqual(['postLayers']);
});
