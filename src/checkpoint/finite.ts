import { RequestError } from '../errors.ts';
import type { TensorStore } from './tensor-store.ts';

/**
 * A tensor as float32, in `into` where it is given; from element `from` on where that is given too.
 * @throws RequestError where it holds NaN or infinity: so would everything that is computed from it
 */
export async function readFinite(
  store: TensorStore,
  name: string,
  into?: Float32Array,
  from?: number,
): Promise<Float32Array> {
  const values = await store.readFloat32(name, into, from);
  // One sum instead of a test for each: NaN and infinity times 0 are NaN, and all else adds nothing.
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
