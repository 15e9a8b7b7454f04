import { budgetDifferences, type SpentBudget } from '../training/budget.ts';

/** A run of a stage that training ended. */
export interface SpentRun {
  stage: string;
  variant?: string | undefined;
  seed?: number | undefined;
  /** Absent where it was not recorded. */
  budget?: SpentBudget | undefined;
}

/**
 * In what variants differ that ran the same stage with the same seed, besides what makes them variants: `sft, pre and
 * post: 200 and 150 steps (seed 1 and 4 more)`. Each variant is held to the first.
 */
export function unequalBudgets(runs: readonly SpentRun[]): string[] {
  const spent = runs.filter(({ variant, budget }) => variant !== undefined && budget !== undefined);
  return [...new Set(spent.map(({ stage }) => stage))].flatMap((stage) => {
    const own = spent.filter((run) => run.stage === stage);
    const [first, ...others] = [...new Set(own.map(({ variant }) => variant))];
    return others.flatMap((variant) => differenceOf(stage, [first!, variant!], own));
  });
}

function differenceOf(stage: string, variants: readonly [string, string], runs: readonly SpentRun[]): string[] {
  const budgetOf = (variant: string, seed: number | undefined) =>
    runs.find((run) => run.variant === variant && run.seed === seed)?.budget;
  const found = [...new Set(runs.map(({ seed }) => seed))].flatMap((seed) => {
    const [a, b] = [budgetOf(variants[0], seed), budgetOf(variants[1], seed)];
    const differences = a && b ? budgetDifferences(a, b) : [];
    return differences.length > 0 ? [{ seed, differences }] : [];
  });
  const [one, ...more] = found;
  if (!one) return [];
  const seeds = one.seed === undefined ? '' : ` (seed ${one.seed}${more.length > 0 ? ` and ${more.length} more` : ''})`;
  return [`${stage}, ${variants.join(' and ')}: ${one.differences.join(', ')}${seeds}`];
}
