import { readFinite } from '../checkpoint/finite.ts';
import { openSafetensors } from '../checkpoint/safetensors-reader.ts';
import { writeSafetensors } from '../checkpoint/safetensors-writer.ts';
import { filled } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Optimizer } from './optimizer.ts';

const head = 'score.weight';

/**
 * Adds a score head to the policy and trains it, too. Values are computed from the policy's own trunk and start at 0,
 * because the head is initialised to zeros. The head is not part of the policy's checkpoint.
 */
export function withValueHead(optimizer: Optimizer): Optimizer {
  const { model } = optimizer;
  const { hiddenSize } = model.config;
  const zeros = (): Tensor => filled(model.backend, [1, hiddenSize], 0);
  const tensor = zeros();
  return {
    ...optimizer,
    model: { ...model, parameters: new Map([...model.parameters, [head, tensor]]) },
    trainables: new Map([...optimizer.trainables, [head, { tensor, decays: true }]]),
    firstMoments: new Map([...optimizer.firstMoments, [head, zeros()]]),
    secondMoments: new Map([...optimizer.secondMoments, [head, zeros()]]),
    gradients: new Map([...optimizer.gradients, [head, zeros()]]),
  };
}

/** The head and its moments, by their names in the file. */
function tensorsOf({ model, firstMoments, secondMoments }: Optimizer): Map<string, Tensor> {
  return new Map([
    ['weight', model.parameters.get(head)!],
    ['firstMoment', firstMoments.get(head)!],
    ['secondMoment', secondMoments.get(head)!],
  ]);
}

export async function saveValueHead(optimizer: Optimizer, file: string): Promise<void> {
  const tensors = tensorsOf(optimizer);
  const specs = [...tensors].map(([name, { shape }]) => ({ name, shape, dtype: 'F32' as const }));
  await writeSafetensors(file, specs, async (name) => {
    const tensor = tensors.get(name)!;
    return Float32Array.from(await tensor.backend.read(tensor));
  });
}

/** Reads what `saveValueHead` wrote into an optimiser from `withValueHead`. @throws RequestError */
export async function loadValueHead(optimizer: Optimizer, file: string): Promise<void> {
  const store = await openSafetensors(file);
  for (const [name, tensor] of tensorsOf(optimizer)) {
    const values = new Float32Array(tensor.size);
    await readFinite(store, name, values);
    tensor.backend.write(tensor, values);
  }
}
