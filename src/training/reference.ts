import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../checkpoint/atomic.ts';
import type { EncodedPair } from '../data/encode.ts';
import type { Model } from '../model/model.ts';
import { allPairLogProbs } from './preference.ts';

/** Where reference log-probabilities are kept: `cache/` below a node's folder. */
export interface ReferenceCache {
  directory: string;
  /** Directory that the reference was loaded from. */
  model: string;
  log(message: string): void;
}

/**
 * Log-probabilities of all pairs under the reference, computed once. The cache is keyed by content: the weights, the
 * token ids and masks of the pairs (so data, template and tokenizer), and what computed them. A stale one cannot be used.
 */
export async function referenceLogProbs(
  reference: Model,
  pairs: readonly EncodedPair[],
  { directory, model, log }: ReferenceCache,
): Promise<{ chosen: number[]; rejected: number[] }> {
  const key = await cacheKey(reference, pairs, model);
  const file = join(directory, 'cache', `reference-${key}.json`);
  const cached = await readFile(file, 'utf8').catch(() => undefined);
  if (cached !== undefined) {
    log(`reference log-probabilities of ${pairs.length} pairs: from ${file}`);
    return JSON.parse(cached);
  }
  const logProbs = await allPairLogProbs(reference, pairs);
  await mkdir(join(directory, 'cache'), { recursive: true });
  await writeFileAtomically(file, JSON.stringify(logProbs));
  return logProbs;
}

async function cacheKey({ backend }: Model, pairs: readonly EncodedPair[], modelDirectory: string): Promise<string> {
  const hash = createHash('sha256').update(`${backend.name} ${backend.precision}`);
  const files = (await readdir(modelDirectory)).filter((name) => /^(config\.json|.*\.safetensors)$/.test(name)).sort();
  for (const name of files) {
    hash.update(name);
    for await (const chunk of createReadStream(join(modelDirectory, name))) hash.update(chunk as Buffer);
  }
  for (const { tokens, trained } of pairs.flatMap(({ chosen, rejected }) => [chosen, rejected])) {
    hash.update(`${tokens.length}:`).update(Int32Array.from(tokens)).update(trained);
  }
  return hash.digest('hex').slice(0, 32);
}
