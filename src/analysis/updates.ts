import { RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Model } from '../model/model.ts';
import { modelParameters } from '../model/parameters.ts';
import type { Analysis } from './analysis.ts';
import { type ByDepth, byDepth, measureByDepth } from './by-depth.ts';
import { normOf, squaresOf } from './squares.ts';

/**
 * How far weights W are from those of a base, such as the model that they were trained from: ‖W − W₀‖ / ‖W₀‖, in L2
 * norms of all tensors that a number is of. Nothing without a base.
 */
export const updates: Analysis<ByDepth | undefined> = {
  label: 'update',
  meaning: "distance of the layer's weights from those of the base, relative to their norm",
  found: byDepth.optional(),
  begin: (model, base) => ({
    add: () => {},
    result: async () => base && relativeDistances(model, base),
  }),
  perLayer: (found) => (found ? [found.embedding, ...found.layers.map(({ all }) => all)] : []),
};

async function relativeDistances({ config, backend, parameters }: Model, base: Model): Promise<ByDepth> {
  const readBase = (name: string) => base.backend.read(base.parameters.get(name)!);
  const sizes = await squaresOf(config, readBase, 'weights of the base');
  const readDifference = async (name: string) => {
    const [own, before] = [await backend.read(parameters.get(name)!), await readBase(name)];
    return Float64Array.from(own, (value, i) => value - before[i]!);
  };
  const differences = await squaresOf(config, readDifference, 'weights');
  return measureByDepth(config, (parts) => normOf(parts, differences) / normOf(parts, sizes));
}

/** @throws RequestError where two models do not have the same tensors, so that there is no difference of them */
export function requireSameTensors(config: ModelConfig, base: ModelConfig, where: string): void {
  const [own, others] = [config, base].map(
    (each) => new Map(modelParameters(each).map(({ name, shape }) => [name, `[${shape.join(', ')}]`])),
  );
  for (const name of new Set([...own!.keys(), ...others!.keys()])) {
    const [here, there] = [own!.get(name), others!.get(name)];
    if (here === there) continue;
    const said = (shape: string | undefined) => (shape === undefined ? 'is not there' : `is ${shape}`);
    throw new RequestError({
      where,
      message: `its weights cannot be subtracted: ${name} ${said(there)} in the base and ${said(here)} in the model`,
      hint: 'give the model that this one was trained from',
    });
  }
}
