import type { BinaryKind, MatmulOptions, ReduceKind, UnaryKind } from './backends/backend.ts';
import { empty, filled, own } from './scope.ts';
import { requireFloats, requireShape, resultShape, sameShape } from './shapes.ts';
import { record } from './tape.ts';
import { type Shape, sizeOf, Tensor } from './tensor.ts';

/**
 * An operand of a primitive; a number is a tensor of shape [1]. Each primitive checks shapes, allocates its output and
 * defines its backward pass, for all backends. Everything else in mixtune can be composed of primitives.
 */
export type Operand = Tensor | number;

export const add = (a: Operand, b: Operand): Tensor => binary('add', a, b);
export const sub = (a: Operand, b: Operand): Tensor => binary('sub', a, b);
export const mul = (a: Operand, b: Operand): Tensor => binary('mul', a, b);
export const div = (a: Operand, b: Operand): Tensor => binary('div', a, b);
export const maximum = (a: Operand, b: Operand): Tensor => binary('maximum', a, b);
/** 1 if a > b, else 0; no gradient. */
export const greater = (a: Operand, b: Operand): Tensor => binary('greater', a, b);

export const neg = (x: Tensor): Tensor => unary('neg', x);
export const exp = (x: Tensor): Tensor => unary('exp', x);
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => unary('log', x);
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x);
/** 1 / √x. */
export const rsqrt = (x: Tensor): Tensor => unary('rsqrt', x);
export const square = (x: Tensor): Tensor => mul(x, x);

/** Sum over the given axes (default: all), which keep extent 1. */
export const sum = (x: Tensor, axes?: readonly number[]): Tensor => reduce('sum', x, axes);
/** Maximum over the given axes (default: all), which keep extent 1. */
export const max = (x: Tensor, axes?: readonly number[]): Tensor => reduce('max', x, axes);

/** Mean over the given axes (default: all), which keep extent 1. */
export function mean(x: Tensor, axes?: readonly number[]): Tensor {
  const total = sum(x, axes);
  return mul(total, total.size / x.size);
}

function unary(kind: Exclude<UnaryKind, 'copy'>, x: Tensor): Tensor {
  requireFloats(kind, x);
  const y = empty(x.backend, resultShape(x.backend, kind, x.shape));
  x.backend.unary(kind, x, y);
  return record([x], y, kind === 'log' ? [x] : kind === 'neg' ? [] : [y], (dy, gradients) => {
    gradients.add(x, unaryGradient(kind, dy, x, y));
  });
}

function unaryGradient(kind: Exclude<UnaryKind, 'copy'>, dy: Tensor, x: Tensor, y: Tensor): Tensor {
  switch (kind) {
    case 'neg':
      return neg(dy);
    case 'exp':
      return mul(dy, y);
    case 'log':
      return div(dy, x);
    case 'sigmoid':
      return mul(dy, mul(y, sub(1, y)));
    case 'rsqrt':
      return mul(dy, mul(-0.5, mul(y, mul(y, y))));
  }
}

function binary(kind: BinaryKind, left: Operand, right: Operand): Tensor {
  const [a, b] = operands(left, right);
  requireFloats(kind, a, b);
  const out = empty(a.backend, resultShape(a.backend, kind, broadcastShape(kind, a.shape, b.shape)));
  a.backend.binary(kind, a, b, out);
  if (kind === 'greater') return out;
  const saved = kind === 'add' || kind === 'sub' ? [] : [a, b];
  return record([a, b], out, saved, (dy, gradients) => {
    if (gradients.wants(a)) gradients.add(a, sumTo(leftGradient(kind, dy, a, b), a.shape));
    if (gradients.wants(b)) gradients.add(b, sumTo(rightGradient(kind, dy, a, b), b.shape));
  });
}

function leftGradient(kind: BinaryKind, dy: Tensor, a: Tensor, b: Tensor): Tensor {
  if (kind === 'mul') return mul(dy, b);
  if (kind === 'div') return div(dy, b);
  if (kind === 'maximum') return mul(dy, greater(a, b));
  return dy;
}

function rightGradient(kind: BinaryKind, dy: Tensor, a: Tensor, b: Tensor): Tensor {
  if (kind === 'sub') return neg(dy);
  if (kind === 'mul') return mul(dy, a);
  if (kind === 'div') return neg(div(mul(dy, a), mul(b, b)));
  if (kind === 'maximum') return mul(dy, sub(1, greater(a, b)));
  return dy;
}

/** condition ≠ 0 ? a : b, elementwise; no gradient for the condition. */
export function where(condition: Tensor, left: Operand, right: Operand): Tensor {
  const [a, b] = operands(left, right, condition);
  requireFloats('where', condition, a, b);
  const shape = broadcastShape('where', broadcastShape('where', a.shape, b.shape), condition.shape);
  const out = empty(condition.backend, resultShape(condition.backend, 'where', shape));
  condition.backend.select(condition, a, b, out);
  return record([a, b], out, [condition], (dy, gradients) => {
    if (gradients.wants(a)) gradients.add(a, sumTo(where(condition, dy, 0), a.shape));
    if (gradients.wants(b)) gradients.add(b, sumTo(where(condition, 0, dy), b.shape));
  });
}

function reduce(kind: ReduceKind, x: Tensor, axes: readonly number[] = x.shape.map((_, axis) => axis)): Tensor {
  for (const axis of axes) requireAxis(kind, x, axis);
  requireFloats(kind, x);
  const shape = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const out = empty(x.backend, shape);
  x.backend.reduce(kind, x, out);
  return record([x], out, kind === 'max' ? [x, out] : [], (dy, gradients) => {
    if (kind === 'sum') return gradients.add(x, broadcastTo(dy, x.shape));
    const isLargest = sub(1, greater(out, x));
    gradients.add(x, mul(div(dy, sum(isLargest, axes)), isLargest));
  });
}

/** [batch…, M, K] · [batch…, K, N] → [batch…, M, N]; `transposeA` / `transposeB` swap the last two dimensions first. */
export function matmul(a: Tensor, b: Tensor, options: Pick<MatmulOptions, 'transposeA' | 'transposeB'> = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  requireFloats('matmul', a, b);
  const [rows, inner] = matrixShape(a, transposeA);
  const [innerB, columns] = matrixShape(b, transposeB);
  const batch = a.shape.slice(0, -2);
  if (inner !== innerB || !sameShape(batch, b.shape.slice(0, -2))) {
    throw new Error(`matmul: shapes [${a.shape}] and [${b.shape}] do not fit (${JSON.stringify(options)})`);
  }
  const out = empty(a.backend, resultShape(a.backend, 'matmul', [...batch, rows, columns]));
  a.backend.matmul(a, b, out, { transposeA, transposeB });
  return record([a, b], out, [a, b], (dy, gradients) => {
    if (gradients.wants(a)) {
      const { tensor, accumulate } = gradients.target(a);
      if (transposeA) a.backend.matmul(b, dy, tensor, { transposeA: transposeB, transposeB: true, accumulate });
      else a.backend.matmul(dy, b, tensor, { transposeB: !transposeB, accumulate });
    }
    if (gradients.wants(b)) {
      const { tensor, accumulate } = gradients.target(b);
      if (transposeB) a.backend.matmul(dy, a, tensor, { transposeA: true, transposeB: transposeA, accumulate });
      else a.backend.matmul(a, dy, tensor, { transposeA: !transposeA, accumulate });
    }
  });
}

/** Rows of `table` [V, …] at `ids` [n] (i32) → [n, …]. */
export function gather(table: Tensor, ids: Tensor): Tensor {
  requireIdTensor('gather', ids);
  const out = empty(table.backend, resultShape(table.backend, 'gather', [ids.size, ...table.shape.slice(1)]));
  table.backend.gather(table, ids, out);
  return record([table], out, [ids], (dy, gradients) => {
    const { tensor, accumulate } = gradients.target(table);
    if (!accumulate) table.backend.fill(tensor, 0);
    table.backend.scatterAdd(dy, ids, tensor);
  });
}

/** Sums the rows i of `source` [n, …] with equal ids[i] (i32) into row ids[i] of the result → [rows, …]. */
export function scatterAdd(source: Tensor, ids: Tensor, rows: number): Tensor {
  requireIdTensor('scatterAdd', ids);
  requireShape('scatterAdd', 'source', source, [ids.size, ...source.shape.slice(1)]);
  const out = filled(source.backend, resultShape(source.backend, 'scatterAdd', [rows, ...source.shape.slice(1)]), 0);
  source.backend.scatterAdd(source, ids, out);
  return record([source], out, [ids], (dy, gradients) => gradients.add(source, gather(dy, ids)));
}

/** Dimension d of the result is dimension `permutation[d]` of x. */
export function transpose(x: Tensor, permutation: readonly number[]): Tensor {
  if (x.shape.some((_, axis) => !permutation.includes(axis)) || permutation.length !== x.shape.length)
    throw new Error(`transpose: [${permutation}] does not permute the dimensions of [${x.shape}]`);
  const shape = permutation.map((axis) => x.shape[axis]!);
  const out = empty(x.backend, resultShape(x.backend, 'transpose', shape));
  x.backend.transpose(x, permutation, out);
  return record([x], out, [], (dy, gradients) => {
    const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
    gradients.add(x, transpose(dy, inverse));
  });
}

/** The elements of `x` under another shape, without a copy. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (sizeOf(shape) !== x.size) throw new Error(`reshape: [${x.shape}] has no shape [${shape}]`);
  const out = own(x.view(resultShape(x.backend, 'reshape', shape)));
  return record([x], out, [], (dy, gradients) => gradients.add(x, own(dy.view(x.shape))));
}

/** x[…, start : start + length, …] along one axis. */
export function slice(x: Tensor, axis: number, start: number, length: number): Tensor {
  const extent = requireAxis('slice', x, axis);
  if (!(Number.isInteger(start) && start >= 0 && start + length <= extent))
    throw new Error(`slice: [${start}, ${start + length}) is outside 0…${extent}`);
  const shape = x.shape.map((size, d) => (d === axis ? length : size));
  const out = empty(x.backend, resultShape(x.backend, 'slice', shape));
  x.backend.slice(x, axis, start, out);
  return record([x], out, [], (dy, gradients) => {
    const { tensor, accumulate } = gradients.target(x);
    if (!accumulate) x.backend.fill(tensor, 0);
    x.backend.place(dy, axis, start, tensor, true);
  });
}

/** Concatenates tensors along an axis; their other dimensions must be equal. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const [first] = parts;
  if (!first) throw new Error('concat: there is nothing to concatenate');
  const extent = parts.reduce((total, part) => total + requireAxis('concat', part, axis), 0);
  const shapeWith = (extent: number): number[] => first.shape.map((size, d) => (d === axis ? extent : size));
  for (const part of parts) requireShape('concat', 'a part', part, shapeWith(part.shape[axis]!));
  const out = empty(first.backend, resultShape(first.backend, 'concat', shapeWith(extent)));
  const starts: number[] = [];
  let start = 0;
  for (const part of parts) {
    first.backend.place(part, axis, start, out);
    starts.push(start);
    start += part.shape[axis]!;
  }
  return record(parts, out, [], (dy, gradients) => {
    parts.forEach((part, index) => {
      if (gradients.wants(part)) gradients.add(part, slice(dy, axis, starts[index]!, part.shape[axis]!));
    });
  });
}

/** Repeats x to a larger shape by the trailing-dimension rule. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcastShape('broadcastTo', x.shape, shape), shape))
    throw new Error(`broadcastTo: [${x.shape}] is larger than [${shape}]`);
  return add(x, filled(x.backend, resultShape(x.backend, 'broadcastTo', shape), 0));
}

/** The elements of x as a constant, through which no gradient flows. */
export function stopGradient(x: Tensor): Tensor {
  return own(x.view(x.shape));
}

/** Sums x down to a shape that broadcasts to it: the gradient of broadcasting. */
function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const padded = [...Array(x.shape.length - shape.length).fill(1), ...shape];
  const axes = padded.flatMap((extent, axis) => (extent === 1 && x.shape[axis] !== 1 ? [axis] : []));
  return reshape(sum(x, axes), shape);
}

function operands(a: Operand, b: Operand, peer?: Tensor): [Tensor, Tensor] {
  const known = a instanceof Tensor ? a : b instanceof Tensor ? b : peer;
  if (!known) throw new Error('an operation needs a tensor among its operands');
  const lift = (x: Operand): Tensor => (typeof x === 'number' ? filled(known.backend, [1], x) : x);
  return [lift(a), lift(b)];
}

function broadcastShape(name: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, d) => {
    const left = a[d - rank + a.length] ?? 1;
    const right = b[d - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) throw new Error(`${name}: [${a}] and [${b}] do not broadcast`);
    return left === 1 ? right : left;
  });
}

/** The extent of a dimension. @throws Error if the tensor does not have it */
function requireAxis(operation: string, { shape }: Tensor, axis: number): number {
  const extent = shape[axis];
  if (extent === undefined) throw new Error(`${operation}: [${shape}] has no dimension ${axis}`);
  return extent;
}

/** Only type and shape are checked here; the backend, which knows the ids, checks their range. */
function requireIdTensor(operation: string, { dtype, shape }: Tensor): void {
  if (dtype !== 'i32' || shape.length !== 1)
    throw new Error(`${operation}: ids are ${dtype} [${shape}], i32 [n] is needed`);
}

function matrixShape(x: Tensor, transposed: boolean): [rows: number, columns: number] {
  const [rows, columns] = [x.shape.at(-2), x.shape.at(-1)];
  if (rows === undefined || columns === undefined) throw new Error(`matmul: [${x.shape}] is not a matrix`);
  return transposed ? [columns, rows] : [rows, columns];
}
