import { RunError } from '../errors.ts';
import { Tape } from '../tensor/tape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Gradients } from './optimizer.ts';
import { shareOfBatches } from './ranks.ts';

/** The results of a micro-batch: its contribution to the window's loss, [1], and other tensors to read. */
export type Pass<Name extends string> = Readonly<Record<'loss' | Name, Tensor>>;

/**
 * Adds the gradient of a window (the rows that one update learns from) to `gradients`. `pass` runs the forward and
 * backward pass of a micro-batch on the tape it is given. Every rank passes the whole window, so that the divisor of
 * the loss is known before the first micro-batch, and computes the rows of its share.
 *
 * Returns, on every rank, the sum of the losses, and for each other tensor the concatenated elements of all
 * micro-batches.
 * @throws RunError if the loss is not finite
 */
export async function gradientOf<Row, Name extends string = never>(
  gradients: Gradients,
  window: readonly (readonly Row[])[],
  pass: (batch: readonly Row[], tape: Tape) => Pass<Name>,
): Promise<{ loss: number } & Record<Name, number[]>> {
  const { ranks } = gradients;
  const passes = shareOfBatches(window, ranks).map((batch) => pass(batch, tapeOf(gradients)));
  const own: Record<'loss' | Name, number[]>[] = [];
  for (const tensors of passes) own.push(await readAndRelease(tensors));
  const all = await ranks.gather(own);
  const names = Object.keys(all[0]!) as ('loss' | Name)[];
  const elements = names.map((name) => [name, all.flatMap((values) => values[name])]);
  const loss = all.reduce((sum, values) => sum + values.loss[0]!, 0);
  if (!Number.isFinite(loss)) {
    throw new RunError(`the loss of step ${gradients.step + 1} is ${loss}`, {
      hint: 'lower lr, lengthen warmup or set clip; the last saved state is kept',
      diverged: true,
    });
  }
  return { ...(Object.fromEntries(elements) as Record<Name, number[]>), loss };
}

/** Records what `body` computes and runs it backward from the loss; the caller owns the tensors. */
export function backwardFromLoss<Name extends string>(tape: Tape, body: () => Pass<Name>): Pass<Name> {
  const names: string[] = [];
  const tensors = tape.record(() => {
    const pass = body();
    names.push(...Object.keys(pass));
    return Object.values<Tensor>(pass);
  });
  const pass = Object.fromEntries(names.map((name, i) => [name, tensors[i]!])) as Pass<Name>;
  tape.backward(pass.loss);
  return pass;
}

/** A new tape that adds to the gradients of all trainables. */
function tapeOf({ trainables, gradients, recompute }: Gradients): Tape {
  const leaves = new Map([...trainables].map(([name, { tensor }]) => [tensor, gradients.get(name)!]));
  return new Tape(leaves, { recompute });
}

async function readAndRelease<Name extends string>(
  tensors: Readonly<Record<Name, Tensor>>,
): Promise<Record<Name, number[]>> {
  const values: [string, number[]][] = [];
  for (const [name, tensor] of Object.entries<Tensor>(tensors)) {
    values.push([name, Array.from(await tensor.backend.read(tensor))]);
    tensor.release();
  }
  return Object.fromEntries(values) as Record<Name, number[]>;
}
