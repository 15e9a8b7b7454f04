import type { Backend } from '../tensor/backends/backend.ts';
import { add, mul } from '../tensor/primitives.ts';
import { scope } from '../tensor/scope.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { ModelConfig } from './config.ts';
import { emptyModel, type Model } from './model.ts';
import { modelParameters } from './parameters.ts';

/** Reads elements of a checkpoint tensor, by its Hugging Face name, from element `from` on into `into`. */
export type TensorReader = (name: string, into: Float32Array, from: number) => Promise<unknown>;

/** Elements that are in host memory at a time: little, as it may wait long for the garbage collector. */
const elementsAtOnce = 1 << 22;

/** A model with the weights of a checkpoint; each tensor is read from its beginning to its end. */
export async function readModel(config: ModelConfig, backend: Backend, read: TensorReader): Promise<Model> {
  const model = emptyModel(config, backend);
  const parameters = modelParameters(config);
  const largest = Math.max(...parameters.map(({ shape }) => sizeOf(shape)));
  const memory = new Float32Array(Math.min(largest, elementsAtOnce));
  for (const { name, parts } of parameters) {
    let offset = 0;
    for (const part of parts) {
      const size = sizeOf(part.shape);
      for (let from = 0; from < size; from += memory.length) {
        const data = memory.subarray(0, Math.min(memory.length, size - from));
        await read(part.name, data, from);
        backend.write(model.parameters.get(name)!, data, offset + from);
      }
      offset += size;
    }
  }
  return model;
}

/**
 * Reads tensors of the model by their Hugging Face names; `tensors` are the model's parameters or others of the same
 * shapes (gradients, moments). The last parameter read is kept, so parts of one parameter cost one transfer.
 */
export function tensorSource(
  config: ModelConfig,
  tensors: ReadonlyMap<string, Tensor>,
): (name: string) => Promise<Float32Array> {
  const places = new Map<string, { parameter: string; offset: number; size: number }>();
  for (const { name, parts } of modelParameters(config)) {
    let offset = 0;
    for (const part of parts) {
      const size = sizeOf(part.shape);
      places.set(part.name, { parameter: name, offset, size });
      offset += size;
    }
  }
  let last: { parameter: string; data: Float32Array } | undefined;
  return async (name) => {
    const place = places.get(name);
    if (!place) throw new Error(`the model has no tensor ${name}`);
    if (last?.parameter !== place.parameter) {
      const tensor = tensors.get(place.parameter)!;
      last = { parameter: place.parameter, data: Float32Array.from(await tensor.backend.read(tensor)) };
    }
    return last.data.subarray(place.offset, place.offset + place.size);
  };
}

/** Moves the weights of `into` towards those of a model of the same shape: into + share · (from − into). */
export function mixInto(into: Model, from: Model, share: number): void {
  for (const [name, tensor] of into.parameters) {
    const source = from.parameters.get(name)!;
    const mixed = (): Tensor => (share === 1 ? source : add(mul(tensor, 1 - share), mul(source, share)));
    scope(() => into.backend.unary('copy', mixed(), tensor));
  }
}

/** A model with copies of the weights in memory of its own. */
export function copyModel(model: Model): Model {
  const copy = emptyModel(model.config, model.backend);
  for (const [name, tensor] of model.parameters) model.backend.unary('copy', tensor, copy.parameters.get(name)!);
  return copy;
}
