import type { Sequence } from '../data/batch.ts';

/** A mean cross-entropy in nats a token. */
export interface LossPoint {
  step: number;
  loss: number;
}

/** Losses of a run by ascending step, all of them finite. */
export type LossCurve = readonly Readonly<LossPoint>[];

/** The losses of records that have one. */
export function lossCurveOf(records: readonly Readonly<Record<string, number | undefined>>[]): LossPoint[] {
  return records.flatMap(({ step, loss }) =>
    step === undefined || loss === undefined || !Number.isFinite(loss) ? [] : [{ step, loss }],
  );
}

/** What has gone wrong with a loss. */
export type Instability =
  /** It sits on the entropy of the tokens' frequencies, from a step on to the end. */
  | { kind: 'plateau'; since: number; entropy: number }
  /** It jumped and did not come back. */
  | { kind: 'divergence'; since: number; from: number; to: number }
  /** It jumped and came back. */
  | { kind: 'spike'; since: number; until: number; from: number; to: number };

/** What is known of a run besides its losses. */
export interface Expectations {
  /** `unigramEntropy` of what it learns. */
  entropy?: number | undefined;
  /** Those of the curve if left out. */
  totalSteps?: number | undefined;
}

/**
 * Entropy in nats of the frequencies of the tokens that are trained: the loss of a model that has learned how frequent
 * each token is and nothing of what stands before it. 0 where there are none.
 */
export function unigramEntropy(sequences: Iterable<Sequence>): number {
  const counts = new Map<number, number>();
  let total = 0;
  for (const { tokens, trained } of sequences) {
    for (let i = 1; i < tokens.length; i++) {
      if (!trained[i]) continue;
      counts.set(tokens[i]!, (counts.get(tokens[i]!) ?? 0) + 1);
      total++;
    }
  }
  let entropy = 0;
  for (const count of counts.values()) entropy -= (count / total) * Math.log(count / total);
  return entropy;
}

/** How far from the entropy a plateau may be, as a share of it: a batch's tokens are not those of all the data. */
const plateauTolerance = 0.02;
/** Shortest plateau and divergence, as shares of all steps: every model rests on the entropy on its way down. */
const plateauShare = 0.2;
const divergenceShare = 0.02;
/** Below these it may be chance: a single batch that is harder than others is no failure. */
const fewestSteps = 20;
const fewestPoints = 3;
/** A jump is one of so many standard deviations of the noise between neighbours, and of so many nats. */
const jumpDeviations = 6;
const jumpNats = 0.2;

/**
 * Failures of training as they show in its loss: stagnation on the unigram entropy, where that is known, and spikes,
 * with and without recovery ("Post-LayerNorm Is Back", arXiv 2601.19895, names these and `slowness`).
 */
export function instabilities(curve: LossCurve, { entropy, totalSteps }: Expectations = {}): Instability[] {
  const steps = totalSteps ?? curve.at(-1)?.step ?? 0;
  const plateau = entropy === undefined ? undefined : plateauOf(curve, entropy, steps);
  const found: Instability[] = plateau ? [plateau] : [];
  for (const { from, points, isOver } of jumpsOf(curve)) {
    const [since, until] = [points[0]!.step, points.at(-1)!.step];
    const losses = points.map(({ loss }) => loss);
    if (points.length < fewestPoints) continue;
    if (isOver) found.push({ kind: 'spike', since, until, from, to: losses.reduce((a, b) => Math.max(a, b)) });
    else if (until - since >= divergenceShare * steps) {
      found.push({ kind: 'divergence', since, from, to: median(losses) });
    }
  }
  return found;
}

function plateauOf(curve: LossCurve, entropy: number, totalSteps: number): Instability | undefined {
  const smooth = movingMedians(curve.map(({ loss }) => loss));
  const before = smooth.findLastIndex((loss) => !(Math.abs(loss - entropy) <= plateauTolerance * entropy));
  const points = curve.slice(before + 1);
  if (points.length < fewestPoints) return undefined;
  const since = points[0]!.step;
  const lasts = points.at(-1)!.step - since;
  return lasts >= Math.max(fewestSteps, plateauShare * totalSteps) ? { kind: 'plateau', since, entropy } : undefined;
}

/** Centred medians over a twentieth of the values, and 21 at most: unlike means they leave a step where it is. */
function movingMedians(values: readonly number[]): number[] {
  const reach = Math.min(10, Math.floor(values.length / 40));
  return values.map((_, i) => median(values.slice(Math.max(0, i - reach), i + reach + 1)));
}

/** Points over which a loss is judged by their median, so that one outlier decides nothing. */
const judged = 5;

interface Jump {
  /** The level before it. */
  from: number;
  /** From the first above the level on; the last of a jump that is over is the one at which it was back. */
  points: LossCurve;
  isOver: boolean;
}

/** Where the loss rose above the lowest level so far, until the median of the last points is down there again. */
function jumpsOf(curve: LossCurve): Jump[] {
  const threshold = Math.max(jumpNats, jumpDeviations * noiseOf(curve));
  const jumps: Jump[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  let start: number | undefined;
  for (const [i, { loss }] of curve.entries()) {
    if (start === undefined && loss > lowest + threshold) start = i;
    const recent = curve.slice(Math.max(start ?? 0, i + 1 - judged), i + 1);
    const level = median(recent.map((point) => point.loss));
    if (start === undefined) lowest = Math.min(lowest, level);
    else if (level <= lowest + threshold) {
      jumps.push({ from: lowest, points: curve.slice(start, i + 1), isOver: true });
      start = undefined;
    }
  }
  if (start !== undefined) jumps.push({ from: lowest, points: curve.slice(start), isOver: false });
  return jumps;
}

/** Standard deviation of a loss about its trend: of differences between neighbours, by their median. */
function noiseOf(curve: LossCurve): number {
  const differences = curve.slice(1).map(({ loss }, i) => Math.abs(loss - curve[i]!.loss));
  return differences.length > 0 ? (1.4826 * median(differences)) / Math.SQRT2 : 0;
}

/** The middle value, the lower of two. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}

/** A loss falls silently slowly where its slope is less than this share of the reference's. */
const slowShare = 0.5;
/** Standard errors by which slopes have to differ. */
const slopeErrors = 4;

/**
 * How fast a loss falls in nats per ln(step), as a share of how fast a reference's does, by least squares over the
 * second half of the steps that both have; given only where it is less than half, by more than the noise, and the loss
 * is the higher one. Such a run shows nothing by itself, and needs many times the steps.
 */
export function slowness(curve: LossCurve, reference: LossCurve): number | undefined {
  const end = Math.min(curve.at(-1)?.step ?? 0, reference.at(-1)?.step ?? 0);
  const [own, other] = [curve, reference].map((whole) =>
    lineOf(whole.filter(({ step }) => step <= end && 2 * step >= end)),
  );
  if (!own || !other || own.mean <= other.mean || own.slope <= slowShare * other.slope) return undefined;
  return own.slope - other.slope > slopeErrors * Math.hypot(own.error, other.error)
    ? own.slope / other.slope
    : undefined;
}

/** The straight line through losses over ln(step), with the standard error of its slope. */
function lineOf(points: LossCurve): { slope: number; error: number; mean: number } | undefined {
  const n = points.length;
  if (n < fewestPoints) return undefined;
  const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / n;
  const [xs, ys] = [points.map(({ step }) => Math.log(step)), points.map(({ loss }) => loss)];
  const [x0, y0] = [meanOf(xs), meanOf(ys)];
  const spread = meanOf(xs.map((x) => (x - x0) ** 2));
  const slope = meanOf(xs.map((x, i) => (x - x0) * (ys[i]! - y0))) / spread;
  const residual = meanOf(xs.map((x, i) => (ys[i]! - y0 - slope * (x - x0)) ** 2));
  return { slope, error: Math.sqrt(residual / ((n - 2) * spread)), mean: y0 };
}

/** In words, without what to do about it. */
export function describeInstability(found: Instability): string {
  const since = `step ${found.since.toLocaleString('en')}`;
  if (found.kind === 'plateau') {
    const what = 'the model has learned how frequent each token is, and no more';
    return `the loss sits on the unigram entropy, ${found.entropy.toFixed(2)} nats, since ${since}: ${what}`;
  }
  const jump = `from ${found.from.toFixed(2)} to ${found.to.toFixed(2)} at ${since}`;
  return found.kind === 'divergence'
    ? `the loss rose ${jump} and did not come back`
    : `the loss jumped ${jump} and was back at step ${found.until.toLocaleString('en')}`;
}
