import { metricKind, subjectLabel } from '../evaluation/metrics.ts';
import { effectSize, seedsNeeded } from '../statistics/paired-difference.ts';
import type { StageComparison } from './comparison.ts';
import type { Difference } from './differences.ts';
import { formatDifference, formatEffect, formatInterval, formatP } from './format.ts';
import { type Fragment, html, type Markup } from './html.ts';

/**
 * Folded away, for those who want to check a verdict: of each difference with an interval its effect size, the p-values
 * with and without the assumption of a normal distribution, the interval over seeds and items, and how many seeds would
 * show it.
 */
export function evidenceTable(comparisons: readonly StageComparison[], variants: readonly string[]): Fragment {
  const several = variants.length > 2;
  const groups = comparisons.flatMap(({ stage, rows }) => {
    const lines = rows.flatMap(({ key, judgedApart, differences }) =>
      judgedApart || !metricKind(key).better
        ? []
        : [...differences]
            .filter(([, { interval }]) => interval)
            .map(([variant, of]) => line(key, several ? `${variant} − ${variants[0]}` : '', of)),
    );
    return lines.length > 0
      ? [html`<tbody><tr class="group"><th colspan="8" scope="rowgroup">${stage}</th></tr>${lines}</tbody>`]
      : [];
  });
  return (
    groups.length > 0 &&
    html`<details><summary>What the differences rest on</summary>
<div class="scroll" role="region" aria-label="Tests of the differences" tabindex="0"><table class="comparison">
<thead><tr><th scope="col">Metric</th>${['difference', 'seeds', 'd_z', 'p (paired t)', 'p (sign flips)', 'over seeds and items', 'seeds needed'].map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
${groups}
</table></div>
<dl class="glossary">
<dt>d_z</dt><dd>mean difference in units of the standard deviation of the differences between seeds</dd>
<dt>p (paired t)</dt><dd>of each metric by itself, before Holm’s correction; this test decides what is coloured, after it</dd>
<dt>p (sign flips)</dt><dd>share of all ways to give each difference either sign whose mean is as far from 0: it assumes no normal distribution, and cannot be below 2 / 2ⁿ of n seeds</dd>
<dt>over seeds and items</dt><dd>95 % interval by a bootstrap of seeds and, the same for all seeds, of items: the range for other questions as well; too narrow for few seeds</dd>
<dt>seeds needed</dt><dd>with so many, nine of ten comparisons would show a true difference of this size</dd>
</dl></details>`
  );
}

function line(key: string, pair: string, of: Difference): Markup {
  const kind = metricKind(key);
  const effect = effectSize(of);
  const needed = seedsNeeded(of.mean, of.deviation!);
  const subject = subjectLabel(key);
  const cells = [
    `${formatDifference(of.mean, kind)} ${formatInterval(of.interval!, kind)}`,
    String(of.seeds),
    effect === undefined ? '–' : formatEffect(effect),
    formatP(of.p!),
    formatP(of.signFlipP!),
    of.items?.interval ? formatInterval(of.items.interval, kind) : '–',
    Number.isFinite(needed) ? String(needed) : '–',
  ];
  return html`<tr><th scope="row">${kind.label}${subject && html` <small>${subject}</small>`}${pair && html` <small>${pair}</small>`}</th>${cells.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`;
}
