import { z } from 'zod';
import type { Model } from '../model/model.ts';
import type { RunningAnalysis } from './analysis.ts';
import { lossesOn, type Path } from './paths.ts';

const counts = z.array(z.int());
const losses = z.array(z.number());

/**
 * Mean cross-entropy in nats a token of a model without k of its layers, for k = 0 to all, each [layers + 1]; nothing
 * is trained after it.
 */
export const prunings = z.object({
  /**
   * Without the block of k layers between whose ends the stream of last tokens turns least (Gromov et al. 2024, "The
   * Unreasonable Ineffectiveness of the Deeper Layers", arXiv 2403.17887, section 3.2): `first` is its first layer.
   */
  byAngle: z.object({ first: counts, loss: losses }),
  /** Without the k layers that cost least when taken out alone; `order` [layers], the least first. */
  byLoss: z.object({ order: counts, loss: losses }),
});

export type Prunings = z.infer<typeof prunings>;

/** What is known of single layers and of pairs of depths, by which layers are chosen. */
interface Known {
  removal: { loss: readonly number[] };
  angular: { last: readonly (readonly number[])[] };
}

/** Takes more and more layers out, in two orders: sees every pass a second time, when both are known. */
export function beginPruning(model: Model, { removal, angular }: Known): RunningAnalysis<Prunings> {
  const layers = model.config.layers;
  const amounts = Array.from({ length: layers + 1 }, (_, k) => k);
  const first = amounts.map((k) => leastTurn(angular.last, k));
  const order = removal.loss.map((_, layer) => layer).sort((a, b) => removal.loss[a]! - removal.loss[b]!);
  const blocks = amounts.map((k) => new Set(amounts.slice(first[k]!, first[k]! + k)));
  const leastMissed = amounts.map((k) => new Set(order.slice(0, k)));
  const running = lossesOn(
    model,
    [...blocks, ...leastMissed].map((removed) => pathWithout(model, removed)),
  );
  return {
    add: running.add,
    async result() {
      const { loss } = await running.result();
      return {
        byAngle: { first, loss: loss.slice(0, layers + 1) },
        byLoss: { order, loss: loss.slice(layers + 1) },
      };
    },
  };
}

/** The depth from which k layers on turn the stream least. */
function leastTurn(distances: readonly (readonly number[])[], k: number): number {
  let least = 0;
  for (let depth = 1; depth + k < distances.length; depth++) {
    if (distances[depth]![depth + k]! < distances[least]![least + k]!) least = depth;
  }
  return least;
}

function pathWithout({ layers }: Model, removed: ReadonlySet<number>): Path {
  const from = removed.size > 0 ? Math.min(...removed) : layers.length;
  const kept = layers.filter((_, layer) => layer > from && !removed.has(layer));
  return { from, layers: kept, what: `without layers ${[...removed].sort((a, b) => a - b).join(', ')}` };
}

/** The losses of both orders by the number of layers taken out; none of what is missing or of another form. */
export function prunedLosses(found: unknown): { label: string; meaning: string; values: readonly number[] }[] {
  const { success, data } = prunings.safeParse(found);
  if (!success) return [];
  const meaning = (which: string) => `mean cross-entropy without ${which}`;
  return [
    {
      label: 'loss without a block',
      meaning: meaning('the block of so many layers that turns the stream least'),
      values: data.byAngle.loss,
    },
    {
      label: 'loss without single layers',
      meaning: meaning('so many layers, those first that cost least when taken out alone'),
      values: data.byLoss.loss,
    },
  ];
}
