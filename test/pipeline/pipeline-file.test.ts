import { describe, expect, it } from 'vitest';
import { parsePipeline } from '../../src/pipeline/pipeline-file.ts';

const text = `name: demo
parameters:
  model: directory to start from
  steps: how long to train
stages:
  sft: { run: sft, from: "\${model}", steps: "\${steps}", data: "data/\${steps}.json" }
`;

const demo = 'name: demo\nvariants:\n  mix: { sft: { norm: mix } }\nstages:\n  sft: { run: sft }\n';

describe('parameters', () => {
  it('are put into strings; a string that is nothing else takes the type of the value', () => {
    const { stages } = parsePipeline(text, 'demo.yaml', ['model=models/tiny', 'steps=20']);
    expect(stages.sft).toEqual({ run: 'sft', from: 'models/tiny', steps: 20, data: 'data/20.json' });
  });

  it('that have no value are told once each, with what they mean', () => {
    expect(() => parsePipeline(text, 'demo.yaml')).toThrow(
      [
        '2 problems in demo.yaml, nothing was started',
        '',
        '  line 6  stages.sft.from: parameter `model` has no value',
        '           → hint: give it with --set model=… (directory to start from)',
        '  line 6  stages.sft.steps: parameter `steps` has no value',
        '           → hint: give it with --set steps=… (how long to train)',
      ].join('\n'),
    );
  });

  it('that were not declared are refused', () => {
    expect(() => parsePipeline(text.replace('{model}', '{modle}'), 'demo.yaml', ['steps=1'])).toThrow(
      /`\$\{modle\}` is not declared under parameters\n.*did you mean `model`/,
    );
  });
});

describe('--set', () => {
  it('sets any key and is its origin', () => {
    const pipeline = parsePipeline(demo, 'demo.yaml', ['stages.sft.lr=1e-4', 'seeds=[3, 4]']);
    expect(pipeline.stages.sft).toEqual({ run: 'sft', lr: 1e-4 });
    expect(pipeline.seeds).toEqual([3, 4]);
    expect(pipeline.place.origin(['stages', 'sft', 'lr'])).toBe('--set');
    expect(pipeline.place.origin(['stages', 'sft', 'run'])).toBe('demo.yaml:5');
  });

  it.each([
    ['stage.sft.lr=1', 'did you mean `stages`?'],
    ['stages.stf.lr=1', 'did you mean `sft`?'],
    ['variants.mx.sft.norm=pre', 'did you mean `mix`?'],
    ['model=x', 'there is `name`'],
    ['lr', 'path=value'],
  ])('%s is refused with a hint', (assignment, hint) => {
    expect(() => parsePipeline(demo, 'demo.yaml', [assignment])).toThrow(hint);
  });
});

it('tells all problems of the shape at once', () => {
  const broken = 'nam: demo\nseeds: one\nstages:\n  sft: { from: x }\n';
  expect(() => parsePipeline(broken, 'demo.yaml')).toThrow(/4 problems in demo\.yaml/);
});
