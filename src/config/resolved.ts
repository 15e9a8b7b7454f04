import { Document, isMap, isNode, isPair, isScalar } from 'yaml';

import { own } from './own.ts';

/** Where a value came from: `default`, `pipelines/mine.yaml:14`, `--set`, `--learning-rate`. */
export type Origins = Readonly<Record<string, string>>;

/** The resolved config as YAML: one key per line with its origin as a comment. A key without an origin is a default. */
export function annotatedYaml(config: Readonly<Record<string, unknown>>, origins: Origins, header: string): string {
  const document = new Document(config);
  document.commentBefore = header
    .split('\n')
    .map((line) => ` ${line}`)
    .join('\n');
  if (!isMap(document.contents)) throw new Error('a config is a map of keys');
  for (const pair of document.contents.items) {
    if (!isPair(pair) || !isScalar(pair.key) || !isNode(pair.value)) continue;
    if (!isScalar(pair.value)) Object.assign(pair.value, { flow: true });
    pair.value.comment = ` ${own(origins, String(pair.key.value)) ?? 'default'}`;
  }
  return document.toString({ lineWidth: 0 });
}
