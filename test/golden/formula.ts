import type { ModelConfig } from '../../src/model/config.ts';
import { emptyModel, type Model } from '../../src/model/model.ts';
import { checkpointTensors, modelParameters } from '../../src/model/parameters.ts';
import type { Backend } from '../../src/tensor/backends/backend.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';

/**
 * A model whose weights follow the formula in README.md with p counted from `first`, in double precision if the backend
 * has it.
 */
export function formulaModel(config: ModelConfig, backend: Backend, first = 0): Model {
  const model = emptyModel(config, backend);
  const index = new Map(checkpointTensors(config).map(({ name }, p) => [name, first + p]));
  for (const { name, parts } of modelParameters(config)) {
    const values = parts.flatMap((part) => {
      const p = index.get(part.name)!;
      const element = part.name.endsWith('norm.weight')
        ? (k: number) => 1 + 0.05 * Math.cos(0.9 * k + 0.4 * p)
        : (k: number) => 0.2 * Math.sin(1.3 * k + 0.7 * p + 0.1);
      return Array.from({ length: sizeOf(part.shape) }, (_, k) => element(k));
    });
    const data = backend.precision === 'f64' ? Float64Array.from(values) : Float32Array.from(values);
    backend.write(model.parameters.get(name)!, data);
  }
  return model;
}
