import type { Shape, Storage, Tensor } from '../../tensor.ts';

/** A block of the engine's memory. Its handle is a number, so that calls only pass numbers. */
export interface NativeStorage extends Storage {
  /** Address of the block in the library. */
  readonly handle: number;
  /** Whether the engine may keep packed copies of the contents. */
  isWeight: boolean;
}

/** The handle of a tensor's block, 0 for undefined. */
export function handleOf(x: Tensor | undefined): number {
  return x ? (x.storage as NativeStorage).handle : 0;
}

/** The handle of a tensor's block, of which the engine may keep packed copies until the tensor is freed. */
export function weightHandleOf(x: Tensor): number {
  const storage = x.storage as NativeStorage;
  storage.isWeight = true;
  return storage.handle;
}

/** Extent of the dimension that is `fromLast` before the last; 1 beyond the rank. */
export function extent(shape: Shape, fromLast: number): number {
  return fromLast < shape.length ? shape[shape.length - 1 - fromLast]! : 1;
}

/** Elements between neighbours along that dimension; 0 if the tensor is broadcast along it. */
export function step(x: Tensor, fromLast: number): number {
  return extent(x.shape, fromLast) === 1 ? 0 : product(x.shape, x.shape.length - fromLast);
}

/** 1 if a reduction shrinks that dimension, else 0. */
export function shrinks(from: Shape, to: Shape, fromLast: number): number {
  return extent(from, fromLast) === extent(to, fromLast) ? 0 : 1;
}

/** Product of the extents of dimensions `first` to `end` − 1. */
export function product(shape: Shape, first: number, end = shape.length): number {
  let size = 1;
  for (let d = first; d < end; d++) size *= shape[d]!;
  return size;
}
