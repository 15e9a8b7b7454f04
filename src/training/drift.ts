import { own } from '../config/own.ts';

/** A mean over the responses of an iteration, and its standard error. */
export interface Estimate {
  mean: number;
  error: number;
}

/** Metrics of an iteration; those of the first are the baseline for later ones. */
export interface Baseline {
  /** In nats per token. */
  entropy: number;
  /** In tokens. */
  responseLength: number;
  reward: Estimate;
  /** Mean reward of each source, including those with weight 0. */
  sources: Readonly<Record<string, Estimate>>;
}

/** The mean of some values and its standard error. */
export function estimateOf(values: readonly number[]): Estimate {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, error: Math.sqrt(variance / values.length) };
}

/** How many standard errors a mean must change by to count as changed. */
const clearly = 3;

/** The change of a mean, in standard errors of the difference. */
function change(first: Estimate, now: Estimate): number {
  const difference = now.mean - first.mean;
  return difference === 0 ? 0 : difference / Math.hypot(first.error, now.error);
}

/** Warnings about what has drifted since the first iteration, by cause, so that the caller can give each only once. */
export function driftWarnings(first: Baseline, now: Baseline & { endRate: number }): Map<string, string> {
  const warnings = new Map<string, string>();
  const isBetterRewarded = change(first.reward, now.reward) > clearly;
  const rose = `the reward rose from ${shown(first.reward.mean)} to ${shown(now.reward.mean)}`;
  if (now.entropy < 0.1 * first.entropy) {
    warnings.set(
      'entropy',
      `entropy has fallen from ${shown(first.entropy)} to ${shown(now.entropy)} nats per token: the policy hardly explores; raise klCoefficient, entropyCoefficient or temperature`,
    );
  }
  const lengthened = now.responseLength / first.responseLength;
  if (lengthened > 1.5 || lengthened < 0.5) {
    const hacking = isBetterRewarded ? ` while ${rose}: check whether length alone is being rewarded` : '';
    warnings.set(
      'length',
      `responses went from ${first.responseLength.toFixed(1)} to ${now.responseLength.toFixed(1)} tokens${hacking}`,
    );
  }
  for (const [name, judged] of Object.entries(now.sources)) {
    const before = own(first.sources, name);
    if (!isBetterRewarded || !before || change(before, judged) > -clearly) continue;
    warnings.set(
      name,
      `${name} fell from ${shown(before.mean)} to ${shown(judged.mean)} while ${rose}: the reward is being hacked; change the weights or raise klCoefficient`,
    );
  }
  if (now.endRate < 0.5) {
    warnings.set(
      'ends',
      `${(100 * (1 - now.endRate)).toFixed(0)} % of the responses were cut off: raise maxNewTokens or missingEosPenalty`,
    );
  }
  return warnings;
}

const shown = (value: number): string => value.toFixed(3);
