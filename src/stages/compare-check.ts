import { suggestion } from '../config/suggest.ts';
import type { Problem } from '../errors.ts';
import { keyAgainst } from '../evaluation/metrics.ts';
import { parseTasks, subjectOf, taskKinds } from '../evaluation/tasks.ts';
import type { CompareConfig } from './compare-schema.ts';

/** The condition for keys that need an opponent, which `againstVariant` is as well. */
export const withOpponent = <C extends Pick<CompareConfig, 'against' | 'againstVariant'>>(config: C): C => ({
  ...config,
  against: config.against ?? config.againstVariant,
});

/** The problems of names in a comparison that refer to nothing. */
export function compareProblems(config: CompareConfig, variants: readonly string[]): Problem[] {
  const { of, againstVariant, primary = {} } = config;
  const problems: Problem[] = [];
  if (againstVariant !== undefined && !variants.includes(againstVariant)) {
    const message = `there is no variant \`${againstVariant}\``;
    problems.push({ where: 'againstVariant', message, hint: suggestion(againstVariant, variants) });
  }
  const measured = keysMeasured(config);
  for (const [stage, key] of Object.entries(primary)) {
    if (!of.includes(stage)) {
      problems.push({ where: 'primary', message: `\`of\` does not name \`${stage}\``, hint: suggestion(stage, of) });
    } else if (!measured.includes(key)) {
      const message = `no task measures \`${key}\`, which should decide after \`${stage}\``;
      problems.push({ where: 'primary', message, hint: suggestion(key, measured) });
    }
  }
  return problems;
}

/** The names, as in results, of the metrics that the tasks can measure and that have a better direction. */
function keysMeasured(config: CompareConfig): string[] {
  const { againstVariant, against } = config;
  return parseTasks(config.tasks, withOpponent(config)).flatMap((task) => {
    const { kind } = task;
    const keys = taskKinds[kind].finds.map((name) => `${subjectOf(task)}/${name}`);
    if (kind !== 'winRate' || againstVariant === undefined) return keys;
    const inCrossPlay = keys.map((key) => keyAgainst(key, againstVariant));
    return against === undefined ? inCrossPlay : [...keys, ...inCrossPlay];
  });
}
