import type { ItemRow } from '../runs/items.ts';
import { bootstrapInterval } from '../statistics/bootstrap.ts';
import { mcnemarP } from '../statistics/mcnemar.ts';

/** What single items say of a difference that is the mean over them. */
export interface ItemEvidence {
  /** Items that both variants have in every shared seed. */
  items: number;
  /** 95 % interval of the difference over seeds and items (bootstrap); of several seeds. */
  interval?: readonly [low: number, high: number];
  /** Of one seed and answers that are right or wrong. */
  twoModels?: TwoModels;
}

/** Answers that just one of two trained models gets right. */
export interface TwoModels {
  onlyVariant: number;
  onlyReference: number;
  /** McNemar's exact test: of these two models, not of how they were made. */
  p: number;
}

/** Scores by item, of each seed. */
export type ItemScores = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** The scores of a stage's items by metric and variant; items of unequal weight are left out. */
export function itemScoresOf(
  stage: string,
  items: readonly ItemRow[],
): (metric: string, variant: string) => ItemScores {
  const scores = new Map<string, Map<number, Map<number, number>>>();
  const keyOf = (metric: string, variant = 'shared') => `${metric}\n${variant}`;
  for (const { stage: of, metric, variant, seed = 0, item, score, weight = 1 } of items) {
    if (of !== stage || score === undefined || weight !== 1) continue;
    const bySeed = scores.get(keyOf(metric, variant)) ?? new Map<number, Map<number, number>>();
    const byItem = bySeed.get(seed) ?? new Map<number, number>();
    scores.set(keyOf(metric, variant), bySeed.set(seed, byItem.set(item, score)));
  }
  return (metric, variant) => scores.get(keyOf(metric, variant)) ?? new Map();
}

/** What the items show of `variant` minus `reference`; nothing where the two have none in common. */
export function itemEvidence(reference: ItemScores, variant: ItemScores): ItemEvidence | undefined {
  const pairs = [...variant].flatMap(([seed, scores]) => {
    const others = reference.get(seed);
    return others ? [{ scores, others }] : [];
  });
  if (pairs.length === 0) return undefined;
  const common = [...pairs[0]!.scores.keys()].filter((item) =>
    pairs.every(({ scores, others }) => scores.has(item) && others.has(item)),
  );
  if (common.length === 0) return undefined;
  const items = common.length;
  const differences = pairs.map(({ scores, others }) => common.map((item) => scores.get(item)! - others.get(item)!));
  if (pairs.length > 1) return { items, interval: bootstrapInterval(differences) };
  const only = (sign: number): number => differences[0]!.filter((difference) => difference === sign).length;
  const [onlyVariant, onlyReference] = [only(1), only(-1)];
  const areAnswers = differences[0]!.every((difference) => Math.abs(difference) === 1 || difference === 0);
  return {
    items,
    ...(areAnswers && { twoModels: { onlyVariant, onlyReference, p: mcnemarP(onlyVariant, onlyReference) } }),
  };
}
