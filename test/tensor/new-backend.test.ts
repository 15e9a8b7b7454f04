import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import type { Sequence } from '../../src/data/batch.ts';
import { generate } from '../../src/generation/generate.ts';
import { initialiseModel } from '../../src/model/initialise.ts';
import { releaseModel } from '../../src/model/model.ts';
import { presetConfig } from '../../src/model/presets.ts';
import { machineSchema } from '../../src/runs/machine.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import type { Kernels } from '../../src/tensor/backends/kernels/index.ts';
import { openBackend } from '../../src/tensor/backends/open.ts';
import { PortableBackend } from '../../src/tensor/backends/portable.ts';
import { languageModelLoss } from '../../src/training/language-model.ts';
import { newOptimizer, releaseOptimizer, update } from '../../src/training/optimizer.ts';
import { toyBackend } from './toy-backend.ts';

vi.mock(import('../../src/tensor/backends/index.ts'), async (original) => {
  const [{ backends }, { toyBackend }] = await Promise.all([original(), import('./toy-backend.ts')]);
  return { backends: [toyBackend, ...backends] };
});

beforeEach(() => {
  toyBackend.isHere = true;
});

const config = {
  ...presetConfig('1m'),
  ...{ vocabSize: 20, hiddenSize: 8, intermediateSize: 12, layers: 2, heads: 2, kvHeads: 1, headDim: 4 },
  norm: { name: 'pre', settings: {} },
};

/** Losses of three updates, and a text that the model continues greedily after them. */
async function trained(backend: Backend): Promise<{ losses: number[]; tokens: number[] }> {
  const model = await initialiseModel(config, backend, 1);
  const optimizer = newOptimizer(model);
  const sequence: Sequence = {
    tokens: Int32Array.from({ length: 9 }, (_, t) => (t * 7) % 20),
    trained: new Uint8Array(9).fill(1, 1),
  };
  const options = { lr: 1e-2, minLr: 0, warmup: 0, schedule: 'constant' as const, weightDecay: 0, clip: 1 };
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const { loss } = await languageModelLoss(optimizer, [[sequence]]);
    losses.push(loss);
    await update(optimizer, { ...options, beta1: 0.9, beta2: 0.95, epsilon: 1e-8 }, 3);
  }
  const [generation] = await generate(model, [Int32Array.of(1, 2)], { maxNewTokens: 4, stopIds: [] });
  releaseOptimizer(optimizer);
  releaseModel(model);
  return { losses, tokens: [...generation!.tokens] };
}

describe('a backend that is one value and one entry in a list', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = (await openBackend({ backend: 'toy' })).backend;
  });
  afterAll(() => backend.dispose());

  test('trains and generates as another does, in the kernels that it has and in compositions of the others', async () => {
    expect(await trained(backend)).toEqual(await trained(new PortableBackend('f32')));
    const { linear, sampling, ...others } = backend.kernels;
    expect(others).toEqual({});
    for (const kernel of [linear!.forward, linear!.inputGradient, linear!.weightGradient, sampling!.draw]) {
      expect(kernel).toHaveBeenCalled();
    }
  });

  test('is a value of --backend, and another name is refused with what there is', async () => {
    expect(machineSchema.parse({ backend: 'toy' }).backend).toBe('toy');
    expect(() => machineSchema.parse({ backend: 'top' })).toThrow(/auto.*toy.*native.*portable/);
    await expect(openBackend({ backend: 'top' })).rejects.toThrow(/there is no backend top\n.*did you mean `toy`/s);
    await expect(openBackend({ backend: 'toy', precision: 'bf16' })).rejects.toThrow(/the toy backend computes in f32/);
  });

  test('is what auto takes where it comes first and is available, else auto says why not', async () => {
    const first = await openBackend();
    expect([first.backend.name, first.explanation]).toEqual(['toy', 'counting on fingers (auto)']);
    toyBackend.isHere = false;
    const next = await openBackend({ threads: 1 });
    expect(next.backend.name).not.toBe('toy');
    expect(next.explanation).toMatch(/\(auto: toy is not available: no fingers/);
    await next.backend.dispose();
    await expect(openBackend({ backend: 'toy' })).rejects.toThrow(
      /the toy backend is not available: no fingers\n.*hint: grow some, or choose another backend/s,
    );
  });

  test.each([true, false])('is in what doctor says where it is available: %s', async (isHere) => {
    toyBackend.isHere = isHere;
    let said = '';
    const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
    const status = await runCommandLine(['doctor'], []);
    stdout.mockRestore();
    expect(status).toBe(0);
    expect(said).toMatch(
      isHere ? /^toy {9}ready: ten fingers$/m : /^toy {9}not available: no fingers\n.*hint: grow some$/m,
    );
    expect(said).toMatch(isHere ? /--backend auto chooses toy/ : /--backend auto chooses (native|portable)/);
  });
});

test('a kernel without its gradient is no family', () => {
  const { kernels } = new PortableBackend();
  const forward = () => undefined;
  // @ts-expect-error: both gradients are missing
  const linear: Kernels = { ...kernels, linear: { forward } };
  // @ts-expect-error: the gradient is missing
  const rmsNorm: Kernels = { ...kernels, rmsNorm: { forward } };
  expect([linear, rmsNorm]).toHaveLength(2);
});
