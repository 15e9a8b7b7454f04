import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import { parseJson } from '../config/json.ts';
import type { Sequence } from '../data/batch.ts';
import type { Model } from '../model/model.ts';
import { weightsChecksum } from './rollout-checks.ts';
import { logLikelihoods } from './sequence-log-probs.ts';

const secondsOfSilence = 5;

/** Where reference log-probabilities are kept: `cache/` below a node's folder. */
export interface ReferenceCache {
  directory: string;
  log(message: string): void;
}

/**
 * log π_ref of the trained tokens of each sequence, computed once. The cache is keyed by all that decides these
 * numbers: the weights as they are in memory, the model's config, the backend, and the token ids and masks of the
 * sequences, which data, template and tokenizer have made. Whatever of these changes, another file is looked for: none
 * can be stale.
 */
export async function referenceLogProbs(
  reference: Model,
  sequences: readonly Sequence[],
  { directory, log }: ReferenceCache,
): Promise<number[]> {
  const file = join(directory, 'cache', `reference-${await cacheKey(reference, sequences)}.json`);
  const cached = await readCache(file, sequences.length);
  if (cached) {
    log(`reference log-probabilities of ${sequences.length} answers: from ${file}`);
    return cached;
  }
  const logProbs = await logLikelihoods(reference, sequences, { progress: progressOf(sequences.length, log) });
  await mkdir(join(directory, 'cache'), { recursive: true });
  await writeFileAtomically(file, JSON.stringify(logProbs));
  return logProbs;
}

/** Says how far the pass is: at the beginning, then every few seconds. */
function progressOf(answers: number, log: (message: string) => void): (done: number) => void {
  let saidAt = performance.now();
  log(`reference log-probabilities of ${answers} answers`);
  return (done) => {
    if (done === answers || performance.now() - saidAt < secondsOfSilence * 1000) return;
    saidAt = performance.now();
    log(`reference log-probabilities: ${done} of ${answers} answers`);
  };
}

/** Nothing where there is no such file, or one that does not hold a finite number for each sequence. */
async function readCache(file: string, sequences: number): Promise<number[] | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const values: unknown = parseJson(text);
    const isWhole = Array.isArray(values) && values.length === sequences && values.every(Number.isFinite);
    return isWhole ? (values as number[]) : undefined;
  } catch {
    return undefined;
  }
}

async function cacheKey(reference: Model, sequences: readonly Sequence[]): Promise<string> {
  const { backend, config } = reference;
  const hash = createHash('sha256').update(JSON.stringify([backend.name, backend.precision, config]));
  hash.update(await weightsChecksum(reference));
  for (const { tokens, trained } of sequences) {
    hash.update(`${tokens.length}:`).update(Int32Array.from(tokens)).update(trained);
  }
  return hash.digest('hex').slice(0, 32);
}
