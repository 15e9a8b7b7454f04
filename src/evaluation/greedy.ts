import type { Sequence } from '../data/batch.ts';
import { headOf, hiddenStates, type Model } from '../model/model.ts';
import { linear } from '../tensor/fused/linear.ts';
import { gather } from '../tensor/primitives.ts';
import { fromHost, scope } from '../tensor/scope.ts';
import { batchesOf } from '../training/language-model.ts';

/** Logits that are read at once, at most. */
const logitsAtOnce = 1 << 25;

/** For each sequence whether greedy decoding writes its trained tokens: each is the first of the likeliest. */
export async function greedyMatches(
  model: Model,
  sequences: readonly Sequence[],
  rowsAtOnce = 4096,
): Promise<boolean[]> {
  const { backend, config } = model;
  const matches: boolean[] = [];
  for (const batch of batchesOf(sequences, rowsAtOnce)) {
    const hidden = scope(() => hiddenStates(model, batch), { adopt: false });
    const rows = [...batch.targets.keys()].filter((row) => batch.targets[row]! >= 0);
    const wrong = new Set<number>();
    const atOnce = Math.max(1, Math.floor(logitsAtOnce / config.vocabSize));
    for (let start = 0; start < rows.length; start += atOnce) {
      const part = rows.slice(start, start + atOnce);
      const logits = scope(() => linear(gather(hidden, fromHost(backend, Int32Array.from(part))), headOf(model)), {
        adopt: false,
      });
      const values = await backend.read(logits);
      logits.release();
      part.forEach((row, i) => {
        const ofRow = values.subarray(i * config.vocabSize, (i + 1) * config.vocabSize);
        if (largest(ofRow) !== batch.targets[row]) wrong.add(row);
      });
    }
    hidden.release();
    for (let s = 0; s + 1 < batch.segments.length; s++) {
      const [first, end] = [batch.segments[s]!, batch.segments[s + 1]!];
      matches.push(!rows.some((row) => row >= first && row < end && wrong.has(row)));
    }
  }
  return matches;
}

function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
