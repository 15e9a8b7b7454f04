import { expect, it } from 'vitest';
import { html } from '../../src/report/html.ts';
import { stabilityNotes } from '../../src/report/stability.ts';
import type { NumericRecord, RecordedNode } from '../../src/runs/pipeline-folder.ts';

const length = 100;

function node(variant: string, recordAt: (step: number) => object, more: Partial<RecordedNode> = {}): RecordedNode {
  const steps = Array.from(
    { length },
    (_, i): NumericRecord => ({
      ...{ step: i + 1, totalSteps: length, learningRate: 1e-3 },
      ...recordAt(i + 1),
    }),
  );
  return {
    ...{ id: `pretrain/${variant}/seed-1`, stage: 'pretrain', variant, seed: 1, directory: 'x', inputs: [] },
    ...{ status: 'finished', steps, evaluations: [], samples: [], done: {}, result: {}, config: '' },
    start: { unigramEntropy: 5 },
    ...more,
  } as RecordedNode;
}

const textOf = (nodes: readonly RecordedNode[]): string[] =>
  String(html`${stabilityNotes('pretrain', nodes, ['pre', 'mix'])}`)
    .split(/<\/(?:p|tr|caption)>/)
    .map((part) => part.replace(/<[^>]*>/g, ' ').trim())
    .filter(Boolean);

const falling = (step: number) => ({ loss: 6 - 0.5 * Math.log(step) });

it('says what is wrong with a run, and nothing of one with which nothing is', () => {
  const stuck = node('mix', (step) => ({ loss: step < 50 ? falling(step).loss : 5 }));
  const [first, second, ...others] = textOf([node('pre', falling), stuck]);
  expect(first).toMatch(/^mix, seed 1: the loss sits on the unigram entropy, 5\.00 nats, since step 50:/);
  expect(second).toBe('mix, seed 1: the loss rose from 4.07 to 5.00 at step 50 and did not come back.');
  expect(others).toEqual([]);
  expect(textOf([node('pre', falling)])).toEqual([]);
});

it('says that a run is slow against that of the first variant with its seed', () => {
  const slow = (step: number) => ({ loss: 6.5 - 0.1 * Math.log(step) });
  const reference = node('pre', falling);
  expect(textOf([reference, node('mix', slow)])).toEqual([
    'mix, seed 1: over the second half of its steps the loss falls 20 % as fast as that of pre.',
  ]);
  expect(textOf([reference, node('mix', () => ({ loss: 6 }))])).toEqual([
    'mix, seed 1: over the second half of its steps the loss falls not at all.',
  ]);
  expect(textOf([reference, node('mix', slow, { seed: 2 })])).toEqual([]);
});

it('is silent about a run whose log does not say what its loss is', () => {
  expect(textOf([node('mix', () => ({ loss: 5 }), { start: {} })])).toEqual([]);
});

it('reads the tolerated learning rate off a ramp', () => {
  const ramp = (until: number) => (step: number) => ({
    loss: step < until ? falling(step).loss : 7,
    learningRate: step / 1000,
  });
  const failed = node('post', ramp(200), { status: 'failed' });
  expect(textOf([node('pre', ramp(200)), node('mix', ramp(60)), failed])).toEqual([
    'Tolerated learning rate: the last before the loss diverges in a linear ramp',
    expect.stringMatching(/^pre, seed 1 +more than 0\.100$/),
    expect.stringMatching(/^mix, seed 1 +0\.0590 \(step 60\)$/),
    expect.stringMatching(/^post, seed 1 +0\.100 \(failed\)$/),
  ]);
});
