import type { ByDepth } from './by-depth.ts';

const prefix = 'gradientNorm/';

/** Norms of gradients by depth as numbers of a record: `gradientNorm/embedding`, `gradientNorm/layers.0` and so on. */
export function depthRecord({ embedding, layers, finalNorm, head }: ByDepth): Record<string, number> {
  const entries: (readonly [name: string, norm: number])[] = [
    ['embedding', embedding],
    ...layers.map(({ all }, layer) => [`layers.${layer}`, all] as const),
    ['finalNorm', finalNorm],
    ...(head === undefined ? [] : [['head', head] as const]),
  ];
  return Object.fromEntries(entries.map(([name, norm]) => [`${prefix}${name}`, norm]));
}

/** Of a record that `depthRecord` is part of, the norms of the embedding and of each layer; none of any other. */
export function recordedDepths(record: Readonly<Record<string, number>>): number[] {
  const norms = [record[`${prefix}embedding`]];
  for (let layer = 0; `${prefix}layers.${layer}` in record; layer++) norms.push(record[`${prefix}layers.${layer}`]);
  return norms.flatMap((norm) => norm ?? []);
}
