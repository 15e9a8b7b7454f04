import { describe, expect, it } from 'vitest';
import { closest, suggestion } from '../../src/config/suggest.ts';

const keys = ['learningRate', 'batchSize', 'epochs', 'lr'];

describe('closest', () => {
  it.each([
    ['learningrate', 'learningRate'],
    ['learning-rate', 'learningRate'],
    ['lerningRate', 'learningRate'],
    ['batchsize', 'batchSize'],
    ['batch_szie', 'batchSize'],
    ['epoch', 'epochs'],
    ['rl', 'lr'],
  ])('takes %s for %s', (word, meant) => {
    expect(closest(word, keys)).toBe(meant);
  });

  it('takes a word that resembles nothing for nothing', () => {
    expect(closest('temperature', keys)).toBeUndefined();
    expect(closest('x', ['c4', 'y'])).toBeUndefined();
  });
});

it('lists what there is where nothing is near', () => {
  expect(suggestion('epoch', keys)).toBe('did you mean `epochs`?');
  expect(suggestion('temperature', ['a', 'b'])).toBe('there is `a`, `b`');
});
