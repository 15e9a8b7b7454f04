import { RequestError } from '../errors.ts';
import type { TensorStore } from './tensor-store.ts';

/**
 * Reads a tensor as float32, into `into` if that is given, and from element `from` on if that is given too.
 * @throws RequestError if it contains NaN or infinity, which would spread to everything computed from it
 */
export async function readFinite(
  store: TensorStore,
  name: string,
  into?: Float32Array,
  from?: number,
): Promise<Float32Array> {
  const values = await store.readFloat32(name, into, from);
  // One sum instead of a test for each element: NaN and infinity times 0 are NaN, and everything else adds nothing.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  if (sum === 0) return values;
  const isBad = (value: number): boolean => !Number.isFinite(value);
  const first = values.findIndex(isBad);
  const count = values.reduce((total, value) => total + Number(isBad(value)), 0);
  throw new RequestError(
    {
      where: name,
      message: `holds ${values[first]} at element ${(from ?? 0) + first} (${count} of ${values.length} are not finite)`,
      hint: 'the run that wrote it had diverged, or the file is damaged: take another checkpoint',
    },
    store.fileOf(name),
  );
}
