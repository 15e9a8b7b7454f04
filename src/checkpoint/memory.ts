import { RequestError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterCount } from '../model/parameters.ts';
import type { Limits } from '../tensor/backends/limits.ts';

/** Bytes of a weight in memory, where all weights are float32. */
const weightBytes = 4;

/** Called before memory is allocated. @throws RequestError if the weights alone are larger than the memory */
export function requireMemory(
  config: ModelConfig,
  directory: string,
  { memory: available }: Pick<Limits, 'memory'>,
): void {
  const needed = parameterCount(config) * weightBytes;
  if (needed <= available) return;
  const gigabytes = (bytes: number): string => `${Math.ceil(bytes / 1e9).toLocaleString('en')} GB`;
  const message = `its weights take ${gigabytes(needed)} in f32, and this machine has ${gigabytes(available)} of memory`;
  throw new RequestError({ message, hint: 'take a smaller model or a larger machine' }, directory);
}
