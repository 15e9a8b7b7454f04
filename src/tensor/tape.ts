import type { GradientTarget } from './backends/kernels/gradient.ts';
import { empty, filled, scope } from './scope.ts';
import type { Tensor } from './tensor.ts';

/** Computes the gradients of a node's inputs from the gradient of its output. */
export type Backward = (dOut: Tensor, gradients: Gradients) => void;

interface Node {
  output: Tensor;
  saved: readonly Tensor[];
  backward: Backward;
}

/** Receives gradients from backward functions. */
export interface Gradients {
  /** Whether the gradient of `x` is needed. */
  wants(x: Tensor): boolean;
  /** A tensor for the gradient of `x`, and whether to add to it rather than overwrite it. */
  target(x: Tensor): GradientTarget;
  /**
   * The `target` of `x` if its gradient is wanted, else undefined. The target may be `consumed` itself, the gradient of
   * the output, if the caller has read all of it before it writes: in x + F(x) both start as the same tensor.
   */
  targetIfWanted(x: Tensor, consumed?: Tensor): GradientTarget | undefined;
  /** Adds a finished gradient of `x`; the tensor may be shared and is not changed. */
  add(x: Tensor, gradient: Tensor): void;
}

let active: Tape | undefined;

/**
 * Records operations and runs their backward passes in reverse order. Saved tensors are released as soon as the
 * backward pass of their node has used them, and gradients as soon as they are consumed. Leaves are parameters: their
 * gradients are added to tensors that the caller keeps, so several recordings accumulate.
 */
export class Tape {
  /** Whether segments are recomputed in the backward pass. */
  readonly recompute: boolean;
  readonly #leaves: ReadonlyMap<Tensor, Tensor>;
  readonly #tracked = new Set<Tensor>();
  #nodes: Node[] = [];

  /** @param leaves maps each parameter to the tensor that its gradient is added to */
  constructor(leaves: ReadonlyMap<Tensor, Tensor>, { recompute = false } = {}) {
    this.#leaves = leaves;
    this.recompute = recompute;
  }

  /** Runs `body` and records its operations. The caller owns the tensor or tensors that it returns. */
  record<T>(body: () => T): T {
    const outer = active;
    active = this;
    try {
      return scope(body, { adopt: false });
    } finally {
      active = outer;
    }
  }

  /** Whether `x` gets a gradient. */
  tracks(x: Tensor): boolean {
    return this.#leaves.has(x) || this.#tracked.has(x);
  }

  push(node: Node): void {
    for (const tensor of node.saved) tensor.retain();
    this.#tracked.add(node.output);
    this.#nodes.push(node);
  }

  /** Adds d(seed · output)/d(leaf) to the gradient of every leaf, and discards the recording. */
  backward(output: Tensor, seed = 1): void {
    this.backwardFrom((gradients) => gradients.add(output, filled(output.backend, output.shape, seed)));
  }

  /** Runs the backward pass from gradients that `begin` sets, for a last step that computes its gradients itself. */
  backwardFrom(begin: (gradients: Gradients) => void): void {
    const pending = new PendingGradients(this.#leaves, this.#tracked);
    const outer = active;
    active = undefined;
    try {
      scope(() => begin(pending));
      for (let node = this.#nodes.pop(); node; node = this.#nodes.pop()) {
        const { output: y, saved, backward } = node;
        const dOut = pending.take(y);
        if (dOut) {
          scope(() => backward(dOut, pending));
          dOut.release();
        }
        for (const tensor of saved) tensor.release();
      }
    } finally {
      active = outer;
      pending.release();
      this.discard();
    }
  }

  /** Runs body(x) again to compute its gradients from the gradient of its result. */
  replay(body: (x: Tensor) => Tensor, x: Tensor, dOut: Tensor, gradients: Gradients): void {
    const leaves = new Map(this.#leaves);
    const dx = empty(x.backend, x.shape);
    dx.blank = true;
    if (gradients.wants(x)) leaves.set(x, dx);
    const tape = new Tape(leaves);
    const output = tape.record(() => body(x));
    tape.backwardFrom((inner) => inner.add(output, dOut));
    output.release();
    if (!dx.blank) gradients.add(x, dx);
  }

  /** Releases all tensors that the recording still holds. */
  discard(): void {
    for (const { saved } of this.#nodes) for (const tensor of saved) tensor.release();
    this.#nodes = [];
    this.#tracked.clear();
  }
}

class PendingGradients implements Gradients {
  readonly #leaves: ReadonlyMap<Tensor, Tensor>;
  readonly #tracked: ReadonlySet<Tensor>;
  readonly #pending = new Map<Tensor, Tensor>();

  constructor(leaves: ReadonlyMap<Tensor, Tensor>, tracked: ReadonlySet<Tensor>) {
    this.#leaves = leaves;
    this.#tracked = tracked;
  }

  wants(x: Tensor): boolean {
    return this.#leaves.has(x) || this.#tracked.has(x);
  }

  targetIfWanted(x: Tensor, consumed?: Tensor): GradientTarget | undefined {
    return this.wants(x) ? this.target(x, consumed) : undefined;
  }

  target(x: Tensor, consumed?: Tensor): GradientTarget {
    const leaf = this.#leaves.get(x);
    if (leaf) {
      const accumulate = !leaf.blank;
      leaf.blank = false;
      return { tensor: leaf, accumulate };
    }
    const present = this.#pending.get(x);
    if (!present) {
      const fresh = empty(x.backend, x.shape).retain();
      this.#pending.set(x, fresh);
      return { tensor: fresh, accumulate: false };
    }
    return { tensor: this.#unshared(x, present, consumed), accumulate: true };
  }

  add(x: Tensor, gradient: Tensor): void {
    if (!this.wants(x)) return;
    if (!this.#leaves.has(x) && !this.#pending.has(x)) {
      this.#pending.set(x, gradient.retain());
      return;
    }
    const { tensor, accumulate } = this.target(x);
    if (accumulate) x.backend.addScaled(gradient, 1, tensor);
    else x.backend.unary('copy', gradient, tensor);
  }

  /** Transfers the gradient of `x` to the caller. */
  take(x: Tensor): Tensor | undefined {
    const gradient = this.#pending.get(x);
    this.#pending.delete(x);
    return gradient;
  }

  release(): void {
    for (const gradient of this.#pending.values()) gradient.release();
    this.#pending.clear();
  }

  /** A gradient that was passed through has other owners, for whom it must not change; it is copied first. */
  #unshared(x: Tensor, present: Tensor, consumed: Tensor | undefined): Tensor {
    if (present.owners === (present === consumed ? 2 : 1)) return present;
    const own = empty(x.backend, x.shape).retain();
    x.backend.unary('copy', present, own);
    present.release();
    this.#pending.set(x, own);
    return own;
  }
}

/** Records an operation on the active tape if any of its inputs gets a gradient. Returns `output`. */
export function record(
  inputs: readonly Tensor[],
  output: Tensor,
  saved: readonly Tensor[],
  backward: Backward,
): Tensor {
  const tape = active;
  if (tape && inputs.some((input) => tape.tracks(input))) tape.push({ output, saved, backward });
  return output;
}

/** Whether a tape is recording and `x` gets a gradient; if not, nothing needs to be saved for the backward pass. */
export function isTracked(x: Tensor): boolean {
  return active?.tracks(x) ?? false;
}

/**
 * Computes body(x). A tape that recomputes keeps only `x` and `kept`, which must be everything that `body` uses, and
 * runs `body` again for the gradient (Chen et al. 2016, "Training deep nets with sublinear memory cost"). The gradients
 * are bit-identical.
 */
export function segment(x: Tensor, kept: readonly Tensor[], body: (x: Tensor) => Tensor): Tensor {
  const tape = active;
  const inputs = [x, ...kept];
  if (!tape?.recompute || !inputs.some(isTracked)) return scope(() => body(x));
  const output = unrecorded(() => scope(() => body(x)));
  return record(inputs, output, inputs, (dOut, gradients) => tape.replay(body, x, dOut, gradients));
}

function unrecorded<T>(body: () => T): T {
  const outer = active;
  active = undefined;
  try {
    return body();
  } finally {
    active = outer;
  }
}
