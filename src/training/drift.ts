import { own } from '../config/own.ts';

/** A mean over the responses of an iteration, and its standard error. */
export interface Estimate {
  mean: number;
  error: number;
}

/** What an iteration was like; the first one is what later ones are compared with. */
export interface Baseline {
  /** nats a token */
  entropy: number;
  responseLength: number;
  reward: Estimate;
  /** Of each source of rewards by itself, also of those that only judge. */
  sources: Readonly<Record<string, Estimate>>;
}

export function estimateOf(values: readonly number[]): Estimate {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((total, value) => total + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return { mean, error: Math.sqrt(variance / values.length) };
}

/** Standard errors by which a mean has to change before the change counts. */
const clearly = 3;

/** How clearly a mean has changed: the difference in standard errors of the difference. */
function change(first: Estimate, now: Estimate): number {
  const difference = now.mean - first.mean;
  return difference === 0 ? 0 : difference / Math.hypot(first.error, now.error);
}

/** Sentences about what has drifted since the first iteration; by cause, so that each is said once. */
export function driftWarnings(first: Baseline, now: Baseline & { endRate: number }): Map<string, string> {
  const warnings = new Map<string, string>();
  const isBetterRewarded = change(first.reward, now.reward) > clearly;
  const rose = `the reward rose from ${shown(first.reward.mean)} to ${shown(now.reward.mean)}`;
  if (now.entropy < 0.1 * first.entropy) {
    warnings.set(
      'entropy',
      `entropy has fallen from ${shown(first.entropy)} to ${shown(now.entropy)} nats a token: the policy hardly explores; raise klCoefficient, entropyCoefficient or temperature`,
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
