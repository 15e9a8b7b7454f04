/** Rewards of the two answers of a pair, and by how many tokens the preferred one is longer. */
export interface RewardedPair {
  chosen: number;
  rejected: number;
  longerBy: number;
}

/** Pairs of which the model is about as sure, and how often it is right. */
export interface ReliabilityBin {
  /** Bounds of the confidence σ(|margin|), 0.5 to 1. */
  from: number;
  to: number;
  pairs: number;
  confidence: number;
  accuracy: number;
}

const bins = 5;

/**
 * Share of pairs whose preferred answer has the higher reward, by how sure the model is: Bradley–Terry's σ(|margin|).
 */
export function reliability(pairs: readonly RewardedPair[]): ReliabilityBin[] {
  const confidenceOf = ({ chosen, rejected }: RewardedPair): number => sigmoid(Math.abs(chosen - rejected));
  const groups = Array.from({ length: bins }, (): RewardedPair[] => []);
  for (const pair of pairs) groups[Math.min(bins - 1, Math.floor((confidenceOf(pair) - 0.5) * 2 * bins))]!.push(pair);
  return groups.map((group, i) => ({
    from: 0.5 + i / (2 * bins),
    to: 0.5 + (i + 1) / (2 * bins),
    pairs: group.length,
    confidence: mean(group, confidenceOf),
    accuracy: mean(group, isRight),
  }));
}

/**
 * Held-out pairs: mean Bradley–Terry loss, accuracy, margin; how far confidence and accuracy are apart on average
 * (`calibrationError`, Guo et al. 2017); accuracy where the preferred answer is the longer and the shorter one, left
 * out where there is none; and what a judge would get who takes the longer answer (`lengthAccuracy`).
 */
export function rewardMeasures(pairs: readonly RewardedPair[]): Record<string, number> {
  const longer = pairs.filter(({ longerBy }) => longerBy > 0);
  const shorter = pairs.filter(({ longerBy }) => longerBy < 0);
  return {
    loss: mean(pairs, ({ chosen, rejected }) => softplus(rejected - chosen)),
    accuracy: mean(pairs, isRight),
    margin: mean(pairs, ({ chosen, rejected }) => chosen - rejected),
    calibrationError: reliability(pairs)
      .filter((bin) => bin.pairs > 0)
      .reduce((sum, bin) => sum + (bin.pairs / pairs.length) * Math.abs(bin.confidence - bin.accuracy), 0),
    ...(longer.length > 0 ? { accuracyWhenLonger: mean(longer, isRight) } : {}),
    ...(shorter.length > 0 ? { accuracyWhenShorter: mean(shorter, isRight) } : {}),
    lengthAccuracy: lengthAccuracy(pairs),
  };
}

/** Names of the measures; those of longer and shorter answers may be missing. */
export const rewardMeasureNames = [
  'loss',
  'accuracy',
  'margin',
  'calibrationError',
  'accuracyWhenLonger',
  'accuracyWhenShorter',
  'lengthAccuracy',
] as const;

/** Share of pairs whose preferred answer is the longer one; equal lengths count a half. */
export function lengthAccuracy(pairs: readonly Pick<RewardedPair, 'longerBy'>[]): number {
  return mean(pairs, ({ longerBy }) => (longerBy > 0 ? 1 : longerBy === 0 ? 0.5 : 0));
}

/** From this share on, on either side of a half, length is what the pairs teach first. */
const tellingShare = 0.8;
/** Fewer pairs than these show nothing. */
const fewestPairs = 20;

/** A warning where length alone tells the preferred answers from the others. */
export function lengthWarning(pairs: readonly Pick<RewardedPair, 'longerBy'>[]): string | undefined {
  const share = lengthAccuracy(pairs);
  if (pairs.length < fewestPairs || Math.max(share, 1 - share) < tellingShare) return undefined;
  const [word, percent] = share > 0.5 ? ['longer', share] : ['shorter', 1 - share];
  return `warning: in ${percentage(percent)} of the pairs the ${word} answer is preferred: length alone explains these preferences, and a reward model may learn nothing else; balance the lengths, or watch accuracyWhenLonger and accuracyWhenShorter`;
}

/** A warning where a model is right if length is and wrong if it is not: it has learnt length. */
export function learntLengthWarning(measures: Readonly<Record<string, number>>): string | undefined {
  const { accuracyWhenLonger: longer, accuracyWhenShorter: shorter } = measures;
  if (longer === undefined || shorter === undefined) return undefined;
  const [worse, better] = [Math.min(longer, shorter), Math.max(longer, shorter)];
  if (worse >= 0.5 || better < tellingShare) return undefined;
  const word = longer > shorter ? 'longer' : 'shorter';
  return `warning: the model is right in ${percentage(better)} of the pairs whose ${word} answer is preferred, and in ${percentage(worse)} of the others: it judges by length`;
}

const isRight = ({ chosen, rejected }: RewardedPair): number => (chosen > rejected ? 1 : chosen === rejected ? 0.5 : 0);

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

const percentage = (share: number): string => `${Math.round(100 * share)} %`;

function mean<T>(items: readonly T[], value: (item: T) => number): number {
  return items.length === 0 ? 0 : items.reduce((total, item) => total + value(item), 0) / items.length;
}
