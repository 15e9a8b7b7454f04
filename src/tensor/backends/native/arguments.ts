import type { Shape, Storage, Tensor } from '../../tensor.ts';

/** What a native storage is: numbers only, so that a call carries nothing else. */
export interface NativeStorage extends Storage {
  /** Address of the block, as the library knows it. */
  readonly handle: number;
  /** True once the engine may keep packed copies of the contents. */
  isWeight: boolean;
}

/** The block of a tensor, 0 for a tensor that was not given. */
export function handleOf(x: Tensor | undefined): number {
  return x ? (x.storage as NativeStorage).handle : 0;
}

/** The block of a tensor that the engine may keep packed copies of, until the tensor is freed. */
export function weightHandleOf(x: Tensor): number {
  const storage = x.storage as NativeStorage;
  storage.isWeight = true;
  return storage.handle;
}

/** Extent of the dimension that is `fromLast` before the last one; 1 beyond the rank. */
export function extent(shape: Shape, fromLast: number): number {
  return fromLast < shape.length ? shape[shape.length - 1 - fromLast]! : 1;
}

/** Elements between neighbours along that dimension, 0 where the tensor is broadcast. */
export function step(x: Tensor, fromLast: number): number {
  return extent(x.shape, fromLast) === 1 ? 0 : product(x.shape, x.shape.length - fromLast);
}

/** 1 where a reduction shrinks that dimension, else 0. */
export function shrinks(from: Shape, to: Shape, fromLast: number): number {
  return extent(from, fromLast) === extent(to, fromLast) ? 0 : 1;
}

/** Product of the extents from dimension `first` up to `end`. */
export function product(shape: Shape, first: number, end = shape.length): number {
  let size = 1;
  for (let d = first; d < end; d++) size *= shape[d]!;
  return size;
}
