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

/** Where reference log-probabilities are cached. */
export interface ReferenceCache {
  /** Folder of a node; the cache is its subfolder `cache/`. */
  directory: string;
  log(message: string): void;
}

/**
 * log π_ref of each sequence, summed over its trained tokens, in nats; computed once and cached. The cache key covers
 * everything that these numbers depend on: the weights in memory, the model's config, the backend, and the token ids
 * and masks of the sequences. A cached file can therefore never be stale.
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

/** Logs the progress of the pass, at the beginning and then every few seconds. */
function progressOf(answers: number, log: (message: string) => void): (done: number) => void {
  let saidAt = performance.now();
  log(`reference log-probabilities of ${answers} answers`);
  return (done) => {
    if (done === answers || performance.now() - saidAt < secondsOfSilence * 1000) return;
    saidAt = performance.now();
    log(`reference log-probabilities: ${done} of ${answers} answers`);
  };
}

/** Undefined if there is no such file, or if it does not contain a finite number for each sequence. */
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
